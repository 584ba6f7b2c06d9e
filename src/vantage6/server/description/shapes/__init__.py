"""The shapes of what the API answers.

They describe; nothing is validated when answering. Tests compare real answers with them.
"""
