"""Hash passwords with a twentieth of the work, in each Python that has this folder in its PYTHONPATH."""

from django.contrib.auth.hashers import PBKDF2PasswordHasher

PBKDF2PasswordHasher.iterations //= 20
