"""What signed Git content is believed."""
