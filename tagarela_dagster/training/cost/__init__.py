"""What training costs: operations, memory, time and energy, predicted before and measured after."""
