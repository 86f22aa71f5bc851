package logopt

import (
	"fmt"
	"slices"
	"strings"
)

// The drivers there are.
const (
	JSONFile = "json-file" // the default
	Local    = "local"
	None     = "none"
	Syslog   = "syslog"
	GELF     = "gelf"
	Fluentd  = "fluentd"
)

// Drivers returns the names of all drivers, sorted.
func Drivers() []string {
	return []string{Fluentd, GELF, JSONFile, Local, None, Syslog}
}

// Config is a container's log configuration, judged and parsed. Of the remote
// drivers' settings only the named driver's are set.
type Config struct {
	Driver  string
	File    File // the local copy; of no meaning for None
	Syslog  *SyslogConfig
	GELF    *GELFConfig
	Fluentd *FluentdConfig

	tag    *tag // nil: none was asked for
	labels selection
	env    selection
}

// Remote reports whether the log is also sent to a server.
func (c *Config) Remote() bool {
	return c.Syslog != nil || c.GELF != nil || c.Fluentd != nil
}

// Check returns an error whose text is for the user, mostly in Docker's words,
// if a container cannot be given this driver with these options. "" is
// json-file.
func Check(driver string, options map[string]string) error {
	_, err := Parse(driver, options)
	return err
}

// Parse returns the configuration that a driver and its options stand for, with
// the defaults filled in. Its errors are those of Check.
func Parse(driver string, options map[string]string) (*Config, error) {
	if driver == "" {
		driver = JSONFile
	}
	return read(&opts{driver: driver, values: options, seen: map[string]bool{}})
}

func read(o *opts) (*Config, error) {
	c := &Config{Driver: o.driver}
	var err error
	switch o.driver {
	case None:
		return c, o.rest()
	case JSONFile:
		err = c.jsonFile(o)
	case Local:
		err = c.local(o)
	case Syslog:
		err = c.syslog(o)
	case GELF:
		err = c.gelf(o)
	case Fluentd:
		err = c.fluentd(o)
	default:
		return nil, fmt.Errorf("logger: no log driver named '%s' is registered: there are %s", clip(o.driver), strings.Join(Drivers(), ", "))
	}
	if err != nil {
		return nil, err
	}
	if err := c.common(o); err != nil {
		return nil, err
	}
	return c, o.rest()
}

// common reads the options that all drivers but none have.
func (c *Config) common(o *opts) (err error) {
	if c.tag, err = parseTag(o.get("tag")); err != nil {
		return err
	}
	if c.labels, err = parseSelection(o, "labels"); err != nil {
		return err
	}
	if c.env, err = parseSelection(o, "env"); err != nil {
		return err
	}
	return c.mode(o)
}

// opts are the options of one container; it notes which were asked after.
type opts struct {
	driver string
	values map[string]string
	seen   map[string]bool
}

func (o *opts) get(name string) string {
	value, _ := o.lookup(name)
	return value
}

func (o *opts) lookup(name string) (string, bool) {
	o.seen[name] = true
	value, ok := o.values[name]
	return value, ok
}

// rest refuses the first option that nobody asked after.
func (o *opts) rest() error {
	var unknown []string
	for name := range o.values {
		if !o.seen[name] {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	return fmt.Errorf("unknown log opt '%s' for %s log driver", clip(slices.Min(unknown)), o.driver)
}

// clip shortens what a user wrote for a message.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}
