"""What the records of a run add up to: verdict, power, grades, differences, suspicions."""
