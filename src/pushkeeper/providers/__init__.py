"""FCM and APNs: what we say to them, how, and what their answers mean."""
