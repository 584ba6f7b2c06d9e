"""What the API's description (``/openapi.json``, ``/docs``) says beyond the routes themselves."""
