package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"

	toml "github.com/pelletier/go-toml/v2"
	"github.com/urfave/cli/v2"

	"github.com/spearheadcloud/spearhead/internal/requestid"
)

// readConfig reads a daemon's TOML file into v, which holds the defaults. A key that v does
// not know is an error: a misspelt setting must not pass for its default.
func readConfig(path string, v any) error {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no configuration file %s: write one (docs/operators shows how) or name another with --config", path)
	}
	if err != nil {
		return fmt.Errorf("cannot read the configuration: %w", err)
	}
	defer file.Close()
	err = toml.NewDecoder(file).DisallowUnknownFields().Decode(v)
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) {
		var keys []string
		for _, e := range unknown.Errors {
			row, _ := e.Position()
			keys = append(keys, fmt.Sprintf("%s (line %d)", strings.Join(e.Key(), "."), row))
		}
		return fmt.Errorf("cannot read %s: unknown keys: %s", path, strings.Join(keys, ", "))
	}
	var wrong *toml.DecodeError
	if errors.As(err, &wrong) {
		row, column := wrong.Position()
		return fmt.Errorf("cannot read %s: line %d, column %d: %w", path, row, column, err)
	}
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", path, err)
	}
	return nil
}

// configFlags are the flags of every command that runs from a configuration file.
func configFlags(path string) []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "config", Value: path, Usage: "the configuration `FILE` (TOML)"},
		&cli.BoolFlag{Name: "debug", Usage: "log more"},
	}
}

// logger writes to standard error, where systemd and the rack collect it.
func logger(c *cli.Context) *slog.Logger {
	level := slog.LevelInfo
	if c.Bool("debug") {
		level = slog.LevelDebug
	}
	return slog.New(requestid.Logging(slog.NewTextHandler(c.App.ErrWriter, &slog.HandlerOptions{Level: level})))
}

// hostname is the default of a daemon's name.
func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}
