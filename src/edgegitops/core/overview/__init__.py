"""A rollout as people see it: what every node of the fleet may do, and what a signed word would change."""
