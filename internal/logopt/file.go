package logopt

import (
	"errors"
	"fmt"
	"strconv"

	units "github.com/docker/go-units"
)

// File says how a log is kept on its node.
type File struct {
	MaxSize  int64 // bytes after which it is rotated; 0 is never
	MaxFiles int   // files kept, the one that is written included
	Compress bool  // rotated files are compressed
}

// maxFiles bounds what a reader has to look through.
const maxFiles = 1000

// kept is what Docker keeps with the driver local, and beside a remote one.
var kept = File{MaxSize: 20_000_000, MaxFiles: 5, Compress: true}

func (c *Config) jsonFile(o *opts) error {
	c.File.MaxFiles = 1
	if err := c.File.read(o, ""); err != nil {
		return err
	}
	if c.File.Compress && (c.File.MaxFiles < 2 || c.File.MaxSize == 0) {
		return errors.New("compress cannot be true when max-file is less than 2 or max-size is not set")
	}
	return nil
}

func (c *Config) local(o *opts) error {
	c.File = kept
	if err := c.File.read(o, ""); err != nil {
		return err
	}
	return c.File.checkKept()
}

// cache reads the settings of a remote driver's local copy. It has two files at
// least, so that one can be sent while the other is written.
func (c *Config) cache(o *opts) error {
	c.File = kept
	disabled, err := o.flag("cache-disabled")
	if err != nil {
		return err
	}
	if disabled {
		return fmt.Errorf("log opt 'cache-disabled' cannot be true for %s log driver: the log is sent from its local copy", o.driver)
	}
	if err := c.File.read(o, "cache-"); err != nil {
		return err
	}
	if c.File.MaxFiles < 2 || c.File.MaxSize == 0 {
		return fmt.Errorf("log opt 'cache-max-file' must be 2 or more and 'cache-max-size' a size for %s log driver: the log is sent from its local copy", o.driver)
	}
	return nil
}

func (f *File) checkKept() error {
	if f.Compress && f.MaxFiles == 1 {
		return errors.New("compression cannot be enabled when max file count is 1")
	}
	if f.MaxSize == 0 {
		f.Compress = false // nothing is ever rotated
	}
	return nil
}

func (f *File) read(o *opts, prefix string) error {
	if value, ok := o.lookup(prefix + "max-size"); ok {
		size, err := units.FromHumanSize(value)
		switch {
		case value == "-1":
			size = 0
		case err != nil:
			return fmt.Errorf("invalid value for %smax-size: %s: give a size such as 10m", prefix, clip(value))
		case size <= 0:
			return fmt.Errorf("%smax-size must be a positive number", prefix)
		}
		f.MaxSize = size
	}
	if value, ok := o.lookup(prefix + "max-file"); ok {
		n, err := strconv.Atoi(value)
		switch {
		case err != nil || n > maxFiles:
			return fmt.Errorf("invalid value for %smax-file: %s: give a number from 1 to %d", prefix, clip(value), maxFiles)
		case n < 1:
			return fmt.Errorf("%smax-file cannot be less than 1", prefix)
		}
		f.MaxFiles = n
	}
	if _, ok := o.lookup(prefix + "compress"); ok {
		var err error
		f.Compress, err = o.flag(prefix + "compress")
		return err
	}
	return nil
}

// ParseBound reads what an operator allows of logs whose containers ask for no
// size: a size such as "100m", or "unlimited", and a number of files.
func ParseBound(size string, files int) (File, error) {
	f := File{MaxFiles: files}
	if files < 1 || files > maxFiles {
		return f, fmt.Errorf("max_file is %d and must be from 1 to %d", files, maxFiles)
	}
	if size == "unlimited" {
		return f, nil
	}
	var err error
	if f.MaxSize, err = units.FromHumanSize(size); err != nil || f.MaxSize <= 0 {
		return f, fmt.Errorf("max_size is %q and must be a size such as 100m, or unlimited", size)
	}
	return f, nil
}

// Within returns how a log is kept on a node with that bound: one that is
// never rotated, as was asked for or because nothing was, is rotated at the
// bound's size, and keeps the bound's number of files unless more than one was
// asked for.
func (f File) Within(bound File) File {
	if f.MaxSize > 0 || bound.MaxSize == 0 {
		return f
	}
	f.MaxSize = bound.MaxSize
	if f.MaxFiles <= 1 {
		f.MaxFiles = bound.MaxFiles
	}
	return f
}

// flag reads a boolean option; one that is not there or empty is false.
func (o *opts) flag(name string) (bool, error) {
	value := o.get(name)
	if value == "" {
		return false, nil
	}
	b, err := strconv.ParseBool(value)
	if err != nil {
		return false, fmt.Errorf("invalid value for %s: %s: give true or false", name, clip(value))
	}
	return b, nil
}

// mode judges Docker's mode and max-buffer-size; see the package comment.
func (c *Config) mode(o *opts) error {
	mode := o.get("mode")
	switch mode {
	case "", "blocking", "non-blocking":
	default:
		return fmt.Errorf("logger: logging mode not supported: %s", clip(mode))
	}
	if c.Remote() && mode == "blocking" {
		return fmt.Errorf("log opt 'mode' cannot be blocking for %s log driver: a log server never holds a container up here; leave it out", o.driver)
	}
	if !c.Remote() && mode == "non-blocking" {
		return fmt.Errorf("log opt 'mode' cannot be non-blocking for %s log driver: no line is left out of a log here; leave it out", o.driver)
	}
	value, ok := o.lookup("max-buffer-size")
	if !ok {
		return nil
	}
	if mode != "non-blocking" {
		return errors.New("logger: max-buffer-size option is only supported with 'mode=non-blocking'")
	}
	size, err := units.RAMInBytes(value)
	if err != nil || size < 0 {
		return fmt.Errorf("error parsing option max-buffer-size: %s is not a size", clip(value))
	}
	if room := c.File.MaxSize * int64(c.File.MaxFiles-1); size > room {
		return fmt.Errorf("log opt 'max-buffer-size' is more than the %d bytes that the local copy holds: raise cache-max-size or cache-max-file", room)
	}
	return nil
}
