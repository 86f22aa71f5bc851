package iod

import (
	"context"
	"os"
	"testing"
	"time"
)

func TestWhatTheSupervisorStartsIsNotSparedWithIt(t *testing.T) {
	const own = "/proc/self/oom_score_adj"
	before, err := os.ReadFile(own)
	if err != nil {
		t.Fatal(err)
	}
	// Not every machine lets a process spare itself, as systemd does; this differs just as well.
	if err := os.WriteFile(own, []byte("500"), 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(own, before, 0); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	argv := []string{"/bin/sh", "-c", "until [ $(cat " + own + ") = 0 ]; do :; done"}
	if err := command(ctx, argv, nil, nil, nil); err != nil {
		t.Errorf("it stays spared: %v", err)
	}
}
