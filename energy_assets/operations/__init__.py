"""Operations: schedules, freshness and arrival checks."""
