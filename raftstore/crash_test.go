package raftstore

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spearheadcloud/spearhead/raftstore/command"
)

// childDir and childHeads, when set, make the test binary a process that writes
// to the store of one head in that directory, or of three below it, until it is
// killed.
const (
	childDir   = "RAFTSTORE_TEST_CHILD_DIR"
	childHeads = "RAFTSTORE_TEST_CHILD_HEADS"
)

func writeAsChild() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var s *Store
	var err error
	switch dir, base := os.Getenv(childDir), os.Getenv(childHeads); {
	case dir != "":
		if s, err = Open(ctx, Config{Dir: dir, ID: "head-1", Bind: "head-1:1", Bootstrap: true}); err == nil {
			err = s.Ready(ctx)
		}
	case base != "":
		s = ringIn(childTB{ctx: ctx}, base).leader().Store
	default:
		return
	}
	for i := 0; err == nil; i++ {
		_, err = s.Propose(ctx, command.SetSetting{Name: fmt.Sprintf("s%d", i), Value: strings.Repeat("x", i%5000)})
		fmt.Println("acknowledged", i)
	}
	fmt.Println("failed:", err)
	os.Exit(1)
}

// childTB is the test of a process that is no test.
type childTB struct {
	testing.TB
	ctx context.Context
}

func (childTB) Helper()                    {}
func (childTB) Cleanup(func())             {}
func (childTB) Logf(string, ...any)        {}
func (c childTB) Context() context.Context { return c.ctx }
func (childTB) Fatal(args ...any)          { fmt.Println(args...); os.Exit(1) }
func (childTB) Fatalf(f string, a ...any)  { fmt.Printf(f+"\n", a...); os.Exit(1) }

func TestKilledProcessKeepsWhatItAcknowledged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for round, until := range []int{0, 3, 40, 200} {
		last := runUntilKilled(t, childDir, dir, until)
		s := mustOpen(t, dir)
		for i := range last + 1 {
			if _, ok := s.View().Setting(fmt.Sprintf("s%d", i)); !ok {
				t.Fatalf("round %d: write %d was acknowledged and is lost", round, i)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// runUntilKilled starts a writer, kills it after some acknowledged writes and
// returns the number of the last of them.
func runUntilKilled(t *testing.T, variable, dir string, until int) int {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), variable+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	last := -1
	for lines := bufio.NewScanner(out); lines.Scan(); {
		number, ok := strings.CutPrefix(lines.Text(), "acknowledged ")
		if !ok {
			t.Errorf("the writer says: %s", lines.Text())
			continue
		}
		if last, err = strconv.Atoi(number); err != nil {
			t.Fatal(err)
		}
		if last == until {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the writer ended by itself")
	}
	return last
}
