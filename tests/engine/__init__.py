"""The engine on real mail servers, whole: from a login to what an archive on disk gives back."""
