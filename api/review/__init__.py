"""The review page: what a person sees who opens a review link, and the form that answers it."""
