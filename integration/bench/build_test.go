package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// tenSteps is a Dockerfile of ten steps; what it copies first is new in each round.
const tenSteps = `FROM %s
ENV WHO=bench
WORKDIR /work
COPY first .
RUN echo one > one
RUN echo two > two
RUN cat first one two > three
COPY second .
RUN cat second three > four
CMD ["cat", "/work/four"]
`

// builds measures the whole command docker build, of ten steps that were never carried out
// before and then of the same ones again. Both clients are tried, the older one and the one of
// BuildKit, and the faster one counts too.
func (s *stage) builds(ctx context.Context, rounds int) (*table, error) {
	config, err := s.builderConfig()
	if err != nil {
		return nil, err
	}
	clients := map[string]string{"classic": "0"}
	if config != "" {
		clients["buildx"] = "1"
	}
	turn := 0
	return s.turns(rounds, func(e *engine, into *table) error {
		fastest := map[string]time.Duration{}
		for client, buildkit := range clients {
			turn++
			dir := filepath.Join(s.work, "context")
			files := map[string]string{"Dockerfile": fmt.Sprintf(tenSteps, e.image), "first": fmt.Sprint(turn), "second": "second\n"}
			if err := writeFiles(dir, files); err != nil {
				return err
			}
			for _, what := range []string{"build of 10 steps", "the same build again"} {
				command := exec.CommandContext(ctx, "docker", "build", "-q", "-t", "spearhead-bench/built:1", dir)
				command.Env = append(append([]string{}, e.env...), "DOCKER_BUILDKIT="+buildkit, "DOCKER_CONFIG="+config)
				begin := time.Now()
				if out, err := command.CombinedOutput(); err != nil {
					return fmt.Errorf("%s: docker build with %s: %w: %s", e.name, client, err, out)
				}
				took := time.Since(begin)
				into.add(what+", "+client, "ms", e.name, ms(took))
				if best, ok := fastest[what]; !ok || took < best {
					fastest[what] = took
				}
			}
		}
		for _, what := range []string{"build of 10 steps", "the same build again"} {
			into.add(what+", the faster client", "ms", e.name, ms(fastest[what]))
		}
		return nil
	})
}

func writeFiles(dir string, files map[string]string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// builderConfig is a folder of docker's settings that has the newest buildx of scripts/clients,
// "" if there is none.
func (s *stage) builderConfig() (string, error) {
	printed, err := exec.Command("../../scripts/clients", "where").Output()
	if err != nil {
		return "", nil
	}
	found, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(printed)), "buildx-*"))
	if err != nil || len(found) == 0 {
		return "", err
	}
	plugins := filepath.Join(s.work, "config", "cli-plugins")
	if err := os.MkdirAll(plugins, 0o700); err != nil {
		return "", err
	}
	link := filepath.Join(plugins, "docker-buildx")
	if _, err := os.Lstat(link); err == nil {
		return filepath.Dir(plugins), nil
	}
	return filepath.Dir(plugins), os.Symlink(found[len(found)-1], link)
}

// findBuilder has the rack's agents find what builds are carried out by, if it is here.
func findBuilder() error {
	printed, err := exec.Command("../../scripts/buildkit", "where").Output()
	if err != nil {
		return nil
	}
	return os.Setenv("PATH", strings.TrimSpace(string(printed))+":"+os.Getenv("PATH"))
}

// canBuild reports whether the rack carries out builds.
func canBuild() bool {
	_, err := exec.LookPath("spearhead-buildkitd")
	return err == nil
}
