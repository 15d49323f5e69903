"""Reports: reach, insights, and the results of deliveries."""
