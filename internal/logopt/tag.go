package logopt

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"text/template"
	"text/template/parse"
	"time"
)

// Bounds of a tag: of its template, and of every value that comes up in it.
const (
	maxTemplate = 1 << 10
	maxValue    = 64 << 10
)

// Subject is the container whose log it is. Tag templates may name its fields
// and methods, which are Docker's.
type Subject struct {
	Config              map[string]string // the log options
	ContainerID         string
	ContainerName       string // with or without a leading slash
	ContainerEntrypoint string
	ContainerArgs       []string
	ContainerImageID    string
	ContainerImageName  string
	ContainerCreated    time.Time
	ContainerEnv        []string
	ContainerLabels     map[string]string
	DaemonName          string
	HostName            string // what Hostname returns
}

// shortLen is how much of an id Docker shows.
const shortLen = 12

func short(id string) string {
	_, hash, ok := strings.Cut(id, ":")
	if !ok {
		hash = id
	}
	return hash[:min(len(hash), shortLen)]
}

// ID is the short form of the container's id.
func (s *Subject) ID() string { return short(s.ContainerID) }

// FullID is the container's id.
func (s *Subject) FullID() string { return s.ContainerID }

// Name is the container's name without a slash.
func (s *Subject) Name() string { return strings.TrimPrefix(s.ContainerName, "/") }

// ImageID is the short form of the image's id.
func (s *Subject) ImageID() string { return short(s.ContainerImageID) }

// ImageFullID is the image's id.
func (s *Subject) ImageFullID() string { return s.ContainerImageID }

// ImageName is the image as the user named it.
func (s *Subject) ImageName() string { return s.ContainerImageName }

// Hostname is the container's host name: in its network it is its own host.
func (s *Subject) Hostname() string { return s.HostName }

// Command is the command line that the container was made with.
func (s *Subject) Command() string {
	return strings.Join(append([]string{s.ContainerEntrypoint}, s.ContainerArgs...), " ")
}

// A tag is a template that was judged safe to run.
type tag struct{ template *template.Template }

// parseTag returns nil for the empty text.
func parseTag(text string) (*tag, error) {
	if text == "" {
		return nil, nil
	}
	if len(text) > maxTemplate {
		return nil, fmt.Errorf("invalid tag: it is longer than %d bytes", maxTemplate)
	}
	t, err := template.New("log-tag").Funcs(tagFunctions()).Parse(text)
	if err != nil {
		return nil, fmt.Errorf("invalid tag: %w", err)
	}
	if len(t.Templates()) > 1 {
		return nil, errors.New("invalid tag: it defines templates")
	}
	if t.Tree == nil {
		return nil, nil // nothing but comments
	}
	if err := checkNode(t.Root); err != nil {
		return nil, fmt.Errorf("invalid tag: %w", err)
	}
	return &tag{t}, nil
}

// checkNode refuses what could run for long, and names that are not there.
func checkNode(n parse.Node) error {
	switch n := n.(type) {
	case *parse.ListNode:
		if n == nil {
			return nil
		}
		return checkEach(n.Nodes)
	case *parse.ActionNode:
		return checkNode(n.Pipe)
	case *parse.IfNode:
		return errors.Join(checkNode(n.Pipe), checkNode(n.List), checkNode(n.ElseList))
	case *parse.PipeNode:
		return checkEach(n.Cmds)
	case *parse.CommandNode:
		return checkEach(n.Args)
	case *parse.ChainNode:
		return checkNode(n.Node)
	case *parse.IdentifierNode:
		if !allowedFunction(n.Ident) {
			return fmt.Errorf("function %q is not available", n.Ident)
		}
	case *parse.FieldNode:
		if !ofSubject(n.Ident[0]) {
			return fmt.Errorf("there is no field %q", n.Ident[0])
		}
	case *parse.RangeNode, *parse.WithNode, *parse.TemplateNode, *parse.BreakNode, *parse.ContinueNode:
		return errors.New("range, with and template are not available")
	}
	return nil
}

// ofSubject reports whether a Subject has a field or a method of that name.
func ofSubject(name string) bool {
	t := reflect.TypeFor[*Subject]()
	_, method := t.MethodByName(name)
	_, field := t.Elem().FieldByName(name)
	return method || field
}

func checkEach[N parse.Node](nodes []N) error {
	for _, n := range nodes {
		if err := checkNode(n); err != nil {
			return err
		}
	}
	return nil
}

// Tag returns the tag of a container's log: the template's, or without one the
// short id.
func (c *Config) Tag(of *Subject) (string, error) {
	if c.tag == nil {
		return of.ID(), nil
	}
	out := &bounded{}
	if err := c.tag.template.Execute(out, of); err != nil {
		return "", fmt.Errorf("cannot make the log's tag: %w", err)
	}
	return out.String(), nil
}

// bounded is a text that does not grow past maxValue.
type bounded struct{ strings.Builder }

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxValue {
		return 0, errTooLong
	}
	return b.Builder.Write(p)
}

var errTooLong = fmt.Errorf("a value is longer than %d bytes", maxValue)
