package logopt

import (
	"compress/flate"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	units "github.com/docker/go-units"
)

// Endpoint is a log server.
type Endpoint struct {
	Network string // "tcp" or "udp"
	TLS     bool   // over tcp
	Host    string // a name or an address, without brackets
	Port    uint16
}

// SyslogConfig is what the driver syslog is told.
type SyslogConfig struct {
	Endpoint
	Facility   int    // 0–23, as in RFC 5424 section 6.2.1
	Format     string // "" is as local programs write, without a host name; "rfc3164", "rfc5424", "rfc5424micro"
	CA         []byte // PEM; nil: the node's roots
	SkipVerify bool
}

// GELFConfig is what the driver gelf is told.
type GELFConfig struct {
	Endpoint
	Compression    string        // UDP: "gzip", "zlib" or "none"
	Level          int           // of compress/flate, -1–9
	ReconnectDelay time.Duration // TCP: least time between two attempts; 0 is left to the sender
}

// FluentdConfig is what the driver fluentd is told.
type FluentdConfig struct {
	Endpoint
	SubSecond     bool // event times in nanoseconds
	RequestAck    bool // each chunk is acknowledged by the server
	RetryWait     time.Duration
	WriteTimeout  time.Duration // 0 is left to the sender
	ReadTimeout   time.Duration // 0 is left to the sender
	ReconnectWait time.Duration // fluentd-async-reconnect-interval; a connection is made anew when it is this old; 0 never
}

// endpoint reads an address such as tcp://host:514. Schemes name their network;
// port is used when there is none, 0 requires one.
func endpoint(address string, schemes map[string]Endpoint, port uint16) (Endpoint, error) {
	u, err := url.Parse(address)
	if err != nil {
		return Endpoint{}, fmt.Errorf("cannot read address '%s': write it as tcp://host:port", clip(address))
	}
	if strings.HasPrefix(u.Scheme, "unix") {
		return Endpoint{}, fmt.Errorf("unsupported scheme: '%s': a container has no log socket here; give the address of a server that it can reach", u.Scheme)
	}
	e, ok := schemes[u.Scheme]
	if !ok {
		return Endpoint{}, fmt.Errorf("unsupported scheme: '%s'", clip(u.Scheme))
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return Endpoint{}, errors.New("should not contain a path element, a user or a query")
	}
	e.Host, e.Port = u.Hostname(), port
	if e.Host == "" || strings.ContainsAny(e.Host, " \t\r\n\x00") {
		return Endpoint{}, fmt.Errorf("address '%s' names no host", clip(address))
	}
	if text := u.Port(); text != "" {
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil || n == 0 {
			return Endpoint{}, fmt.Errorf("invalid port '%s' in address", clip(text))
		}
		e.Port = uint16(n)
	}
	if e.Port == 0 {
		return Endpoint{}, errors.New("missing port in address")
	}
	return e, nil
}

// String is the endpoint as host:port.
func (e Endpoint) String() string {
	return net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port)))
}

// facilities are the names of RFC 5424's numbers that Docker knows.
var facilities = map[string]int{
	"kern": 0, "user": 1, "mail": 2, "daemon": 3, "auth": 4, "syslog": 5, "lpr": 6, "news": 7, "uucp": 8, "cron": 9, "authpriv": 10, "ftp": 11,
	"local0": 16, "local1": 17, "local2": 18, "local3": 19, "local4": 20, "local5": 21, "local6": 22, "local7": 23,
}

func (c *Config) syslog(o *opts) error {
	s := &SyslogConfig{Facility: facilities["daemon"], Format: o.get("syslog-format")}
	address := o.get("syslog-address")
	if address == "" {
		return errors.New("syslog-address is a required parameter: give the address of a server that the container can reach, such as tcp://host:514")
	}
	var err error
	s.Endpoint, err = endpoint(address, map[string]Endpoint{"tcp": {Network: "tcp"}, "udp": {Network: "udp"}, "tcp+tls": {Network: "tcp", TLS: true}}, 514)
	if err != nil {
		return fmt.Errorf("invalid syslog-address: %w", err)
	}
	if name := o.get("syslog-facility"); name != "" {
		number, known := facilities[name]
		if !known {
			if number, err = strconv.Atoi(name); err != nil || number < 0 || number > 23 {
				return errors.New("invalid syslog facility")
			}
		}
		s.Facility = number
	}
	if !slices.Contains([]string{"", "rfc3164", "rfc5424", "rfc5424micro"}, s.Format) {
		return errors.New("Invalid syslog format") //nolint:staticcheck // Docker's words
	}
	for _, name := range []string{"env", "env-regex", "labels", "labels-regex"} {
		if o.get(name) != "" && !strings.HasPrefix(s.Format, "rfc5424") {
			return fmt.Errorf("log opt '%s' needs syslog-format=rfc5424 or rfc5424micro: other formats have no place for it", name)
		}
	}
	if err := s.readTLS(o); err != nil {
		return err
	}
	c.Syslog = s
	return c.cache(o)
}

func (s *SyslogConfig) readTLS(o *opts) error {
	for _, name := range []string{"syslog-tls-cert", "syslog-tls-key"} {
		if _, ok := o.lookup(name); ok {
			return fmt.Errorf("log opt '%s' is not supported: it names a file of the machine that containers run on", name)
		}
	}
	if pem, ok := o.lookup("syslog-tls-ca-cert"); ok {
		if !x509.NewCertPool().AppendCertsFromPEM([]byte(pem)) {
			return errors.New("log opt 'syslog-tls-ca-cert' must be the certificate itself as PEM text, not a file of the machine that containers run on")
		}
		s.CA = []byte(pem)
	}
	_, s.SkipVerify = o.lookup("syslog-tls-skip-verify") // Docker goes by its presence
	return nil
}

func (c *Config) gelf(o *opts) error {
	address := o.get("gelf-address")
	if address == "" {
		return errors.New("gelf-address is a required parameter")
	}
	e, err := endpoint(address, map[string]Endpoint{"tcp": {Network: "tcp"}, "udp": {Network: "udp"}}, 12201)
	if err != nil {
		return fmt.Errorf("gelf: endpoint needs to be TCP or UDP, as proto://host:port: %w", err)
	}
	g := &GELFConfig{Endpoint: e, Compression: "gzip", Level: flate.BestSpeed}
	if err := g.readUDP(o); err != nil {
		return err
	}
	for _, name := range []string{"gelf-tcp-max-reconnect", "gelf-tcp-reconnect-delay"} {
		value, ok := o.lookup(name)
		if !ok {
			continue
		}
		if e.Network != "tcp" {
			return fmt.Errorf("%q is only valid for TCP", name)
		}
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 || n > 3600 {
			return fmt.Errorf("%q must be a positive integer", name)
		}
		if name == "gelf-tcp-max-reconnect" {
			return errors.New(`"gelf-tcp-max-reconnect" is not supported: a log is sent whenever its server can be reached, however often that fails; leave it out`)
		}
		g.ReconnectDelay = time.Duration(n) * time.Second
	}
	c.GELF = g
	return c.cache(o)
}

func (g *GELFConfig) readUDP(o *opts) error {
	kind, typed := o.lookup("gelf-compression-type")
	level, levelled := o.lookup("gelf-compression-level")
	if (typed || levelled) && g.Network != "udp" {
		return errors.New("compression is only supported on UDP")
	}
	if typed {
		if !slices.Contains([]string{"gzip", "zlib", "none"}, kind) {
			return fmt.Errorf("unknown value %q for log opt %q for gelf log driver", clip(kind), "gelf-compression-type")
		}
		g.Compression = kind
	}
	if levelled {
		n, err := strconv.Atoi(level)
		if err != nil || n < flate.DefaultCompression || n > flate.BestCompression {
			return fmt.Errorf("unknown value %q for log opt %q for gelf log driver", clip(level), "gelf-compression-level")
		}
		g.Level = n
	}
	return nil
}

func (c *Config) fluentd(o *opts) error {
	address := o.get("fluentd-address")
	if address == "" {
		return errors.New("fluentd-address is a required parameter: give the address of a server that the container can reach, such as host:24224")
	}
	if !strings.Contains(address, "://") {
		address = "tcp://" + address
	}
	e, err := endpoint(address, map[string]Endpoint{"tcp": {Network: "tcp"}, "tls": {Network: "tcp", TLS: true}}, 24224)
	if err != nil {
		return fmt.Errorf("invalid fluentd-address (%s): %w", clip(o.get("fluentd-address")), err)
	}
	f := &FluentdConfig{Endpoint: e}
	if err := f.readTimes(o); err != nil {
		return err
	}
	if f.SubSecond, err = o.flag("fluentd-sub-second-precision"); err != nil {
		return err
	}
	if f.RequestAck, err = o.flag("fluentd-request-ack"); err != nil {
		return err
	}
	c.Fluentd = f
	if err := c.cache(o); err != nil {
		return err
	}
	return c.fluentdBuffer(o)
}

// fluentdBuffer judges the options of a buffer in memory, in whose place is the
// local copy: what they promise must hold.
func (c *Config) fluentdBuffer(o *opts) error {
	if value := o.get("fluentd-async"); value != "" {
		async, err := o.flag("fluentd-async")
		if err != nil {
			return err
		}
		if !async {
			return errors.New("log opt 'fluentd-async' cannot be false: a container never waits for its log server here; leave it out")
		}
	}
	if value := o.get("fluentd-buffer-limit"); value != "" {
		size, err := units.RAMInBytes(value)
		if err != nil || size < 0 {
			return fmt.Errorf("invalid value for fluentd-buffer-limit: %s is not a size", clip(value))
		}
		if room := c.File.MaxSize * int64(c.File.MaxFiles-1); size > room {
			return fmt.Errorf("log opt 'fluentd-buffer-limit' is more than the %d bytes that the local copy holds: raise cache-max-size or cache-max-file", room)
		}
	}
	if value := o.get("fluentd-max-retries"); value != "" {
		n, err := strconv.ParseUint(value, 10, 32)
		if err != nil || n > math.MaxInt32 {
			return errors.New("invalid fluentd-max-retries: value out of range")
		}
		if n != math.MaxInt32 {
			return errors.New("log opt 'fluentd-max-retries' is not supported: a log is sent whenever its server can be reached, however often that fails; leave it out")
		}
	}
	return nil
}

func (f *FluentdConfig) readTimes(o *opts) error {
	f.RetryWait = time.Second
	for _, option := range []struct {
		name string
		to   *time.Duration
	}{
		{"fluentd-retry-wait", &f.RetryWait},
		{"fluentd-write-timeout", &f.WriteTimeout},
		{"fluentd-read-timeout", &f.ReadTimeout},
		{"fluentd-async-reconnect-interval", &f.ReconnectWait},
	} {
		value := o.get(option.name)
		if value == "" {
			continue
		}
		d, err := time.ParseDuration(value)
		if err != nil || d < 0 || d > time.Hour {
			return fmt.Errorf("invalid value for %s: value must be a duration that is non-negative and an hour at most", option.name)
		}
		*option.to = d
	}
	if d := f.ReconnectWait; d != 0 && (d < 100*time.Millisecond || d > 10*time.Second) {
		return fmt.Errorf("invalid value for fluentd-async-reconnect-interval: value (%q) must be between 100ms and 10s", d)
	}
	return nil
}
