"""What makes the workflow: plan, jobs, receipts. Never torch."""
