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

// Patience is how long tests wait for what takes a second or two on an idle machine. It must
// be enough for one that is slow and busy with other things.
const Patience = 3 * time.Minute

// Eventually fails the test if try does not succeed within Patience.
func Eventually(t *testing.T, try func() error) {
	t.Helper()
	if err := Poll(t.Context(), Patience, try); err != nil {
		t.Fatal(err)
	}
}
