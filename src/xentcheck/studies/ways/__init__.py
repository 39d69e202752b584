"""Laws about the way in which a loss is called: no other way of a call changes its value or its gradients."""
