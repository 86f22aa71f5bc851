package bench

import (
	"context"
	"net/http"
	"testing"
	"time"
)

// volumes measures a volume's creation, a container that is the first to mount one, from its
// creation until it is started, and the removal of both.
func (s *stage) volumes(ctx context.Context, rounds int) (*table, error) {
	return s.turns(rounds, func(e *engine, into *table) error {
		var made struct{ Name string }
		t0 := time.Now()
		if err := e.do(ctx, http.MethodPost, "/volumes/create", map[string]any{}, &made); err != nil {
			return err
		}
		t1 := time.Now()
		body := map[string]any{
			"Image": e.image, "Cmd": sleeper, "Labels": map[string]string{label: ""},
			"HostConfig": map[string]any{"NetworkMode": "none", "Binds": []string{made.Name + ":/data"}},
		}
		var created struct{ ID string }
		if err := e.do(ctx, http.MethodPost, "/containers/create", body, &created); err != nil {
			return err
		}
		if err := e.start(ctx, created.ID); err != nil {
			return err
		}
		t2 := time.Now()
		if err := e.remove(ctx, created.ID); err != nil {
			return err
		}
		t3 := time.Now()
		if err := e.do(ctx, http.MethodDelete, "/volumes/"+made.Name, nil, nil); err != nil {
			return err
		}
		t4 := time.Now()
		into.add("volume: create", "ms", e.name, ms(t1.Sub(t0)))
		into.add("volume: first container, created and started", "ms", e.name, ms(t2.Sub(t1)))
		into.add("volume: remove", "ms", e.name, ms(t4.Sub(t3)))
		return nil
	})
}

func BenchmarkVolumes(b *testing.B) {
	measured(b, func(ctx context.Context, s *stage) (*table, error) { return s.volumes(ctx, 15) })
}

// TestVolumesAreMeasured runs the measure once.
func TestVolumesAreMeasured(t *testing.T) {
	s := useStage(t)
	got, err := s.volumes(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range got.rows {
		for _, e := range s.engines {
			if median(r.samples[e.name]) <= 0 {
				t.Errorf("%s: %s took no time", e.name, r.what)
			}
		}
	}
}
