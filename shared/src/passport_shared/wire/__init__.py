"""What crosses HTTP between services: models, vocabularies and the credential catalogue."""
