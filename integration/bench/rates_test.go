package bench

import (
	"context"
	"sync/atomic"
	"time"
)

// rates measures requests per second that only read, with count containers in the engine.
func (s *stage) rates(ctx context.Context, rounds, count int, window time.Duration) (*table, error) {
	one := map[*engine]string{}
	for _, e := range s.engines {
		ids := make([]string, count)
		if err := parallel(4, count, func(i int) (err error) {
			ids[i], err = e.create(ctx, "none", "true")
			return err
		}); err != nil {
			return nil, err
		}
		one[e] = ids[0]
	}
	measured, err := s.turns(rounds, func(e *engine, into *table) error {
		for _, read := range []struct {
			what, path string
			clients    int
		}{
			{"list, 1 client", "/containers/json?all=1", 1},
			{"list, 16 clients", "/containers/json?all=1", 16},
			{"inspect, 16 clients", "/containers/" + one[e] + "/json", 16},
			{"ping, 16 clients", "/_ping", 16},
		} {
			rate, err := e.rate(ctx, read.path, read.clients, window)
			if err != nil {
				return err
			}
			into.add(read.what, "/s", e.name, rate)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, e := range s.engines {
		if err := e.sweep(ctx); err != nil {
			return nil, err
		}
	}
	return measured, nil
}

// rate is how many GET requests a second so many clients get answered within the window. Each
// finishes what it began, and that time counts.
func (e *engine) rate(ctx context.Context, path string, clients int, window time.Duration) (float64, error) {
	var answers atomic.Int64
	begin := time.Now()
	err := parallel(clients, clients, func(int) error {
		for first := true; first || time.Since(begin) < window; first = false {
			if err := e.do(ctx, "GET", path, nil, nil); err != nil {
				return err
			}
			answers.Add(1)
		}
		return nil
	})
	return float64(answers.Load()) / time.Since(begin).Seconds(), err
}
