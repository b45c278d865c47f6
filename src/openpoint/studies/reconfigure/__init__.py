"""Which branches stand open, so that losses are least and limits hold."""
