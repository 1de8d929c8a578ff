{{- define "archivmail.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{/* At most 52 characters, because the names of Jobs made by a CronJob are longer by 11. */}}
{{- define "archivmail.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 45 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "archivmail.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 45 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 45 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Names of objects without a namespace carry the release's, so that two releases can live side by side. */}}
{{- define "archivmail.clusterName" -}}
{{- printf "%s-%s" .Release.Namespace (include "archivmail.fullname" .) -}}
{{- end }}

{{- define "archivmail.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "archivmail.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name: name an existing ServiceAccount, or set serviceAccount.create" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{- define "archivmail.selectorLabels" -}}
app.kubernetes.io/name: {{ include "archivmail.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "archivmail.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "archivmail.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "archivmail.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end }}

{{/* What cannot work is refused here, with what to do about it. */}}
{{- define "archivmail.check" -}}
{{- $remote := regexMatch "^[a-z0-9]+://" .Values.archive.url | and (not (hasPrefix "file://" .Values.archive.url)) -}}
{{- $server := or .Values.catalog.existingSecret (hasPrefix "postgresql" .Values.catalog.url) -}}
{{- if and (gt (int .Values.shards) 1) (or (not $remote) (not $server) .Values.persistence.enabled) -}}
{{- fail "shards: several replicas need one archive that all of them see: set archive.url to an object store (s3://bucket/prefix), catalog.existingSecret or catalog.url to a PostgreSQL database, and persistence.enabled to false" -}}
{{- end -}}
{{- if and (not .Values.archive.url) (not .Values.persistence.enabled) -}}
{{- fail "archive.url: without persistence.enabled name an object store (s3://bucket/prefix), or mail would be lost with the pod" -}}
{{- end -}}
{{- if and $remote (not .Values.catalog.url) (not .Values.catalog.existingSecret) -}}
{{- fail "catalog: an archive in an object store needs catalog.url or catalog.existingSecret (PostgreSQL)" -}}
{{- end -}}
{{- end }}

{{/* Environment shared by the operator and the verify job. */}}
{{- define "archivmail.storageEnv" -}}
- name: ARCHIVMAIL_ARCHIVE
  value: {{ default .Values.persistence.mountPath .Values.archive.url | quote }}
{{- if .Values.catalog.existingSecret }}
- name: ARCHIVMAIL_CATALOG
  valueFrom:
    secretKeyRef:
      name: {{ .Values.catalog.existingSecret }}
      key: {{ .Values.catalog.existingSecretKey }}
{{- else if .Values.catalog.url }}
- name: ARCHIVMAIL_CATALOG
  value: {{ .Values.catalog.url | quote }}
{{- end }}
- name: ARCHIVMAIL_LOG_FORMAT
  value: {{ .Values.log.format | quote }}
- name: ARCHIVMAIL_LOG_LEVEL
  value: {{ .Values.log.level | quote }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "archivmail.volumeMounts" -}}
- name: tmp
  mountPath: /tmp
{{- if .Values.persistence.enabled }}
- name: archive
  mountPath: {{ .Values.persistence.mountPath }}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "archivmail.volumes" -}}
- name: tmp
  emptyDir:
    sizeLimit: {{ .Values.tmpSizeLimit }}
{{- if .Values.persistence.enabled }}
- name: archive
  persistentVolumeClaim:
    claimName: {{ default (include "archivmail.fullname" .) .Values.persistence.existingClaim }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* What pods of the operator and of the verify job have in common. */}}
{{- define "archivmail.podPlacement" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The rights of the operator on what its users make; in one namespace or in all. */}}
{{- define "archivmail.rules" -}}
# list and watch to know the accounts, get to read one afresh before a run, patch for the finalizer.
- apiGroups: [archivmail.io]
  resources: [imapaccounts]
  verbs: [get, list, watch, patch]
- apiGroups: [archivmail.io]
  resources: [imapaccounts/status]
  verbs: [patch]
# Passwords, tokens and CAs that accounts name. Neither list nor watch unless asked for: those read every Secret.
{{- $verbs := list "get" }}
{{- if .Values.secrets.watch }}{{ $verbs = concat $verbs (list "list" "watch") }}{{ end }}
{{- if .Values.rbac.updateSecrets }}{{ $verbs = append $verbs "patch" }}{{ end }}
- apiGroups: [""]
  resources: [secrets]
  verbs: [{{ join ", " $verbs }}]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end }}

{{/* Seconds of a duration such as 30m, as PromQL wants them. */}}
{{- define "archivmail.seconds" -}}
{{- $factor := get (dict "s" 1 "m" 60 "h" 3600 "d" 86400) (regexFind "[smhd]$" .) -}}
{{- mul (regexFind "^[0-9]+" . | int) $factor -}}
{{- end }}
