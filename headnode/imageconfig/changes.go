package imageconfig

import (
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
	"golang.org/x/sys/unix"

	"github.com/spearheadcloud/spearhead/model"
)

// allowed are the instructions that change a configuration and nothing else.
func allowed(name string) bool {
	switch strings.ToLower(name) {
	case "cmd", "entrypoint", "env", "expose", "healthcheck", "label", "onbuild", "stopsignal", "user", "volume", "workdir":
		return true
	}
	return false
}

// Apply returns c as the instructions change it, one after the other. The
// error is of KindInvalid and names the instruction.
func Apply(c model.ImageConfig, instruction []string) (model.ImageConfig, error) {
	if len(instruction) == 0 {
		return c, nil
	}
	text := strings.Join(instruction, "\n")
	if strings.TrimSpace(text) == "" {
		return c, nil
	}
	for line := range strings.Lines(text) {
		if len(line) > maxLine {
			return c, model.Errorf(model.KindInvalid, "an instruction is longer than the %d bytes allowed", maxLine)
		}
	}
	file, err := parser.Parse(strings.NewReader(text))
	if err != nil {
		return c, invalid("the changes", err)
	}
	var commands []instructions.Command
	for _, node := range file.AST.Children {
		if !allowed(node.Value) {
			return c, model.Errorf(model.KindInvalid, "%.64s is not a valid change command", strings.ToLower(node.Value))
		}
		command, err := instructions.ParseCommand(node)
		if err != nil {
			return c, invalid(node.Original, err)
		}
		commands = append(commands, command)
	}
	s := state{config: detached(c), words: shell.NewLex(file.EscapeToken)}
	for _, command := range commands {
		if err := s.apply(command); err != nil {
			return c, err
		}
	}
	return s.config, nil
}

// maxLine is what the parser reads of a line.
const maxLine = 65_000

func invalid(what string, err error) error {
	return model.Errorf(model.KindInvalid, "cannot apply %.128q: %s", what, err)
}

// detached is a copy that may be changed.
func detached(c model.ImageConfig) model.ImageConfig {
	c.Env, c.ExposedPorts, c.Volumes, c.OnBuild = slices.Clone(c.Env), slices.Clone(c.ExposedPorts), slices.Clone(c.Volumes), slices.Clone(c.OnBuild)
	c.Labels = maps.Clone(c.Labels)
	return c
}

// state is a configuration between two instructions.
type state struct {
	config model.ImageConfig
	words  *shell.Lex
	cmdSet bool // by an instruction: an entry point leaves it then
}

func (s *state) apply(command instructions.Command) error {
	if e, ok := command.(instructions.SupportsSingleWordExpansion); ok {
		err := e.Expand(func(word string) (string, error) {
			out, _, err := s.words.ProcessWord(word, shell.EnvsFromSlice(s.config.Env))
			return out, err
		})
		if err != nil {
			return invalid(command.Name(), err)
		}
	}
	c := &s.config
	switch i := command.(type) {
	case *instructions.CmdCommand:
		c.Cmd, s.cmdSet = s.line(i.ShellDependantCmdLine), true
	case *instructions.EntrypointCommand:
		c.Entrypoint = s.line(i.ShellDependantCmdLine)
		if !s.cmdSet {
			c.Cmd = nil
		}
	case *instructions.EnvCommand:
		for _, v := range i.Env {
			s.setVariable(v.Key, v.Value)
		}
	case *instructions.ExposeCommand:
		return s.expose(i.Ports)
	case *instructions.HealthCheckCommand:
		h := model.Healthcheck{
			Test: i.Health.Test, Interval: i.Health.Interval, Timeout: i.Health.Timeout,
			StartPeriod: i.Health.StartPeriod, StartInterval: i.Health.StartInterval, Retries: i.Health.Retries,
		}
		c.Healthcheck = &h
	case *instructions.LabelCommand:
		if c.Labels == nil {
			c.Labels = map[string]string{}
		}
		for _, l := range i.Labels {
			c.Labels[l.Key] = l.Value
		}
	case *instructions.OnbuildCommand:
		c.OnBuild = append(c.OnBuild, i.Expression)
	case *instructions.StopSignalCommand:
		if !isSignal(i.Signal) {
			return model.Errorf(model.KindInvalid, "Invalid signal: %.64s", i.Signal)
		}
		c.StopSignal = i.Signal
	case *instructions.UserCommand:
		c.User = i.User
	case *instructions.VolumeCommand:
		c.Volumes = join(c.Volumes, i.Volumes)
	case *instructions.WorkdirCommand:
		if path.IsAbs(i.Path) {
			c.WorkingDir = path.Clean(i.Path)
		} else {
			c.WorkingDir = path.Join("/", c.WorkingDir, i.Path)
		}
	default:
		return model.Errorf(model.KindInvalid, "%.64s is not a valid change command", command.Name())
	}
	return nil
}

// line is a command line; one that is no JSON list is the shell's to read.
func (s *state) line(l instructions.ShellDependantCmdLine) []string {
	if !l.PrependShell {
		return append([]string{}, l.CmdLine...) // an empty list says that there is none
	}
	sh := s.config.Shell
	if len(sh) == 0 {
		sh = []string{"/bin/sh", "-c"}
	}
	return append(slices.Clone(sh), strings.Join(l.CmdLine, " "))
}

func (s *state) setVariable(name, value string) {
	c := &s.config
	if i := slices.IndexFunc(c.Env, isVariable(name)); i >= 0 {
		c.Env[i] = name + "=" + value
		return
	}
	c.Env = append(c.Env, name+"="+value)
}

// expose adds ports: 80, 80/udp, 8000-8010/tcp, or what a variable says.
func (s *state) expose(specs []string) error {
	var ports []string
	for _, spec := range specs {
		words, err := s.words.ProcessWords(spec, shell.EnvsFromSlice(s.config.Env))
		if err != nil {
			return invalid("EXPOSE "+spec, err)
		}
		for _, word := range words {
			more, err := portsOf(word)
			if err != nil {
				return err
			}
			ports = append(ports, more...)
		}
	}
	s.config.ExposedPorts = join(s.config.ExposedPorts, ports)
	return nil
}

func portsOf(spec string) ([]string, error) {
	numbers, proto, named := strings.Cut(spec, "/")
	proto = strings.ToLower(proto)
	if !named {
		proto = "tcp"
	}
	first, last, isRange := strings.Cut(numbers, "-")
	if !isRange {
		last = first
	}
	from, err1 := strconv.ParseUint(first, 10, 16)
	to, err2 := strconv.ParseUint(last, 10, 16)
	known := proto == "tcp" || proto == "udp" || proto == "sctp"
	if err1 != nil || err2 != nil || from == 0 || to < from || !known {
		return nil, model.Errorf(model.KindInvalid, "Invalid containerPort: %.64s", spec)
	}
	var ports []string
	for n := from; n <= to; n++ {
		ports = append(ports, strconv.FormatUint(n, 10)+"/"+proto)
	}
	return ports, nil
}

// lastSignal is the largest number of a signal on Linux.
const lastSignal = 64

func isSignal(s string) bool {
	if n, err := strconv.Atoi(s); err == nil {
		return n > 0 && n <= lastSignal
	}
	name := strings.ToUpper(s)
	if !strings.HasPrefix(name, "SIG") {
		name = "SIG" + name
	}
	if unix.SignalNum(name) != 0 {
		return true
	}
	rest, realtime := strings.CutPrefix(name, "SIGRTM")
	return realtime && (strings.HasPrefix(rest, "IN") || strings.HasPrefix(rest, "AX"))
}
