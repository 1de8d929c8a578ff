{{/*
The pod of the operator, for the Deployment (one replica) and the StatefulSet (shards). Takes a dict: `root` is the
chart's context, `env` a list of more environment variables.
*/}}
{{- define "archivmail.podTemplate" -}}
{{- $env := .env -}}
{{- with .root -}}
{{- $labels := merge (include "archivmail.selectorLabels" . | fromYaml) (dict "app.kubernetes.io/component" "operator") -}}
{{- $spread := dict "labelSelector" (dict "matchLabels" $labels) -}}
metadata:
  labels:
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- include "archivmail.labels" . | nindent 4 }}
    app.kubernetes.io/component: operator
  annotations:
    kubectl.kubernetes.io/default-container: operator
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "archivmail.serviceAccountName" . }}
  automountServiceAccountToken: true
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  securityContext:
    {{- toYaml .Values.podSecurityContext | nindent 4 }}
  {{- include "archivmail.podPlacement" . | nindent 2 }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- range . }}
    {{- if hasKey . "labelSelector" }}
    - {{- toYaml . | nindent 6 }}
    {{- else }}
    - {{- merge (deepCopy .) $spread | toYaml | nindent 6 }}
    {{- end }}
    {{- end }}
  {{- end }}
  containers:
  - name: operator
    image: {{ include "archivmail.image" . | quote }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    args: [operator]
    env:
    - name: ARCHIVMAIL_SLOTS
      value: {{ .Values.slots | quote }}
    - name: ARCHIVMAIL_WATCH_NAMESPACES
      value: {{ join "," .Values.watchNamespaces | quote }}
    {{- with .Values.egressAllow }}
    - name: ARCHIVMAIL_EGRESS_ALLOW
      value: {{ join "," . | quote }}
    {{- end }}
    {{- if .Values.secrets.watch }}
    - name: ARCHIVMAIL_WATCH_SECRETS
      value: "true"
    {{- end }}
    - name: ARCHIVMAIL_METRICS_PORT
      value: "8080"
    - name: ARCHIVMAIL_HEALTH_PORT
      value: "8081"
    {{- include "archivmail.storageEnv" . | nindent 4 }}
    {{- with $env }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- with .Values.extraEnvFrom }}
    envFrom:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    ports:
    - name: metrics
      containerPort: 8080
    - name: health
      containerPort: 8081
    # Two minutes for the migration of a large catalog and the first listing; then the other probes take over.
    startupProbe:
      httpGet: {path: /healthz, port: health}
      periodSeconds: 2
      timeoutSeconds: 2
      failureThreshold: 60
    livenessProbe:
      httpGet: {path: /healthz, port: health}
      periodSeconds: 20
      timeoutSeconds: 5
      failureThreshold: 3
    readinessProbe:
      httpGet: {path: /readyz, port: health}
      periodSeconds: 10
      timeoutSeconds: 5
    resources:
      {{- toYaml .Values.resources | nindent 6 }}
    securityContext:
      {{- toYaml .Values.securityContext | nindent 6 }}
    volumeMounts:
      {{- include "archivmail.volumeMounts" . | nindent 6 }}
  volumes:
    {{- include "archivmail.volumes" . | nindent 4 }}
{{- end -}}
{{- end }}
