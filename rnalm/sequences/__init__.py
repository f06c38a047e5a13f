"""What is read: tables, FASTA files, and what sequences share with each other."""
