"""Publishing: online roles, the site tree, the page (DESIGN section 2)."""
