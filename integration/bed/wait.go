package bed

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// Poll repeats try, starting at once, until it succeeds or the time is up; then it returns
// what try said last.
func Poll(ctx context.Context, limit time.Duration, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not within %s: %w", limit, err)
		case <-ticker.C:
		}
	}
}

// Eventually fails the test if try does not succeed within a minute.
func Eventually(t *testing.T, try func() error) {
	t.Helper()
	if err := Poll(t.Context(), 60*time.Second, try); err != nil {
		t.Fatal(err)
	}
}
