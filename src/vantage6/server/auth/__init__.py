"""Who is asking, and what they may do.

Logging in has three steps, each in a module of its own:

1. a proof of who somebody is: a password (:mod:`.login`), an API key (``api/token.py``); an
   OIDC provider or a passkey would be a module beside these, yielding the same :class:`.Login`;
2. a second factor, if the server wants one and the proof is not one already
   (:mod:`.second_factor`);
3. a session: tokens, their renewal and their end (:mod:`.session`).

Then, with every request: whose token it is and what they may do (:mod:`.tokens`, :mod:`.caller`,
:mod:`.visibility`, :mod:`.rules`). How to get in again without a proof is :mod:`.recovery`.
"""
