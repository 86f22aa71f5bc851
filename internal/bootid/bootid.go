package bootid

import (
	"fmt"
	"os"
	"strings"
)

// Read returns the id of the machine's boot; see random(4), boot_id.
func Read() (string, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("cannot tell this boot of the machine from others: %w", err)
	}
	return strings.TrimSpace(string(id)), nil
}
