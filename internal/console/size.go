package console

import "fmt"

// Size writes a number of bytes as docker does: decimal units, one digit after the point.
func Size(bytes int64) string {
	if bytes < 1000 {
		return fmt.Sprintf("%dB", bytes)
	}
	value, unit := float64(bytes)/1000, 0
	units := []string{"kB", "MB", "GB", "TB"}
	// From 999.95 on, rounding would give a thousand of the unit.
	for ; value >= 999.95 && unit < len(units)-1; unit++ {
		value /= 1000
	}
	return fmt.Sprintf("%.1f%s", value, units[unit])
}
