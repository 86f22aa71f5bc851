package bench

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"
)

// networks measures calls about networks beside so many others of the account, on ours alone:
// a docker daemon has room for some thirty by default.
func (s *stage) networks(ctx context.Context, others, rounds int) (_ *table, err error) {
	into := &table{}
	for _, e := range s.engines {
		if e.name != ours {
			continue
		}
		var made []string
		defer func() {
			for _, id := range made {
				if gone := e.do(ctx, http.MethodDelete, "/networks/"+id, nil, nil); gone != nil && err == nil {
					err = gone
				}
			}
		}()
		create := func(name string) (string, error) {
			var answer struct{ ID string }
			err := e.do(ctx, http.MethodPost, "/networks/create", map[string]any{"Name": name}, &answer)
			return answer.ID, err
		}
		for i := range others {
			id, err := create(fmt.Sprintf("crowd-%04d", i))
			if err != nil {
				return nil, err
			}
			made = append(made, id)
		}
		for range rounds {
			t0 := time.Now()
			id, err := create("one-more")
			if err != nil {
				return nil, err
			}
			t1 := time.Now()
			var all []struct{ Name string }
			if err := e.do(ctx, http.MethodGet, "/networks", nil, &all); err != nil {
				return nil, err
			}
			if len(all) <= others {
				return nil, fmt.Errorf("of %d networks %d are listed", others+1, len(all))
			}
			t2 := time.Now()
			if err := e.do(ctx, http.MethodGet, "/networks/one-more", nil, nil); err != nil {
				return nil, err
			}
			t3 := time.Now()
			if err := e.do(ctx, http.MethodDelete, "/networks/"+id, nil, nil); err != nil {
				return nil, err
			}
			t4 := time.Now()
			for name, took := range map[string]time.Duration{"create": t1.Sub(t0), "list": t2.Sub(t1), "inspect": t3.Sub(t2), "remove": t4.Sub(t3)} {
				into.add(fmt.Sprintf("network beside %d: %s", others, name), "ms", e.name, ms(took))
			}
		}
	}
	return into, nil
}

func BenchmarkNetworks(b *testing.B) {
	measured(b, func(ctx context.Context, s *stage) (*table, error) { return s.networks(ctx, 1000, 25) })
}
