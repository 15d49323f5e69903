"""FCM and APNs as strangers: a simulator that imports nothing of the rest of pushkeeper."""
