package fwrule

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/spearheadcloud/spearhead/model"
)

// Limits of one rule.
const (
	maxText    = 4096
	maxTargets = 24 // on each side
	maxPorts   = 128
)

// Parse reads one rule. Its errors are of model.KindInvalid and name what was
// expected.
func Parse(text string) (Rule, error) {
	if len(text) > maxText {
		return Rule{}, model.Errorf(model.KindInvalid, "the rule has %d characters, more than %d", len(text), maxText)
	}
	words, err := split(text)
	if err != nil {
		return Rule{}, err
	}
	p := &parser{words: words}
	r := p.rule()
	if p.err == nil && len(p.words) > 0 {
		p.fail("the end of the rule")
	}
	return r, p.err
}

// word is a word of a rule. A quoted one is never a keyword.
type word struct {
	text   string
	quoted bool
}

// split makes words of a text: parentheses, commas and equal signs stand for
// themselves, and what is in double quotes is one word.
func split(text string) ([]word, error) {
	var words []word
	for rest := strings.TrimLeft(text, " \t\n\r"); rest != ""; rest = strings.TrimLeft(rest, " \t\n\r") {
		switch end := strings.IndexAny(rest, " \t\n\r(),=\""); {
		case rest[0] == '"':
			value, after, ok := quoted(rest)
			if !ok {
				return nil, model.Errorf(model.KindInvalid, "the rule has a quotation mark without a second one")
			}
			words, rest = append(words, word{value, true}), after
		case end == 0:
			words, rest = append(words, word{rest[:1], false}), rest[1:]
		case end < 0:
			words, rest = append(words, word{rest, false}), ""
		default:
			words, rest = append(words, word{rest[:end], false}), rest[end:]
		}
	}
	return words, nil
}

// quoted reads a word in quotes; a backslash takes the next character as it is.
func quoted(text string) (value, rest string, ok bool) {
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == '"':
			return b.String(), text[i+1:], true
		case text[i] == '\\' && i+1 < len(text):
			i++
		}
		b.WriteByte(text[i])
	}
	return "", "", false
}

// parser reads words; after its first error it reads nothing more.
type parser struct {
	words []word
	err   error
}

func (p *parser) fail(expected string) {
	if p.err != nil {
		return
	}
	found := "it ends there"
	if len(p.words) > 0 {
		found = "there is " + strconv.Quote(clip(p.words[0].text))
	}
	p.err = model.Errorf(model.KindInvalid, "cannot read the rule: expected %s, but %s", expected, found)
}

func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}

// is reports whether the next word is that keyword, and takes it then.
func (p *parser) is(keyword string) bool {
	if p.err != nil || len(p.words) == 0 || p.words[0].quoted || !strings.EqualFold(p.words[0].text, keyword) {
		return false
	}
	p.words = p.words[1:]
	return true
}

func (p *parser) want(keyword string) {
	if !p.is(keyword) {
		p.fail(keyword)
	}
}

// next takes the next word, which must not be one of those with a meaning of
// their own.
func (p *parser) next(expected string) string {
	if p.err != nil || len(p.words) == 0 || !p.words[0].quoted && strings.Contains("(),=", p.words[0].text) || p.words[0].text == "" {
		p.fail(expected)
		return ""
	}
	w := p.words[0]
	p.words = p.words[1:]
	return w.text
}

func (p *parser) number(expected string, most int) int {
	before := p.words
	n, err := strconv.Atoi(p.next(expected))
	if p.err == nil && (err != nil || n < 0 || n > most) {
		p.words = before
		p.fail(expected)
	}
	return n
}

func (p *parser) rule() (r Rule) {
	p.want("FROM")
	r.From = p.targets()
	p.want("TO")
	r.To = p.targets()
	switch {
	case p.is("ALLOW"):
		r.Allow = true
	case p.is("BLOCK"):
	default:
		p.fail("ALLOW or BLOCK")
	}
	p.protocol(&r)
	if p.is("PRIORITY") {
		r.Priority = p.number("a priority from 0 to 100", MaxPriority)
	}
	if p.err == nil && p.is("LOG") {
		p.err = model.Errorf(model.KindInvalid, "cannot read the rule: LOG is not supported; leave it out")
	}
	if p.err == nil && !r.namesContainers() {
		p.err = model.Errorf(model.KindInvalid, "the rule names no containers on either side: use tag, vm or all vms on one")
	}
	return r
}

// namesContainers reports whether a side is more than addresses.
func (r *Rule) namesContainers() bool {
	for _, t := range append(append([]Target{}, r.From...), r.To...) {
		if t.Kind != Any && t.Kind != Prefix {
			return true
		}
	}
	return false
}

// targets reads one target, or several in parentheses.
func (p *parser) targets() (all []Target) {
	if !p.is("(") {
		return []Target{p.target()}
	}
	for p.err == nil {
		all = append(all, p.target())
		if len(all) > maxTargets {
			p.err = model.Errorf(model.KindInvalid, "the rule has more than %d targets on one side; make two rules of it", maxTargets)
		}
		if p.is(")") {
			break
		}
		p.want("OR")
	}
	return all
}

func (p *parser) target() Target {
	switch {
	case p.is("any"):
		return Target{Kind: Any}
	case p.is("all"):
		p.want("vms")
		return Target{Kind: All}
	case p.is("ip"):
		return p.address()
	case p.is("subnet"):
		return p.subnet()
	case p.is("vm"):
		id := p.next("the id of a container")
		if p.err == nil && (len(id) < 12 || len(id) > 64 || strings.Trim(id, "0123456789abcdef") != "") {
			p.err = model.Errorf(model.KindInvalid, "cannot read the rule: vm %q is not an id of 12 to 64 hex digits", clip(id))
		}
		return Target{Kind: VM, Name: id}
	case p.is("tag"):
		return p.tag()
	}
	p.fail("a target: any, all vms, ip, subnet, tag or vm")
	return Target{}
}

func (p *parser) address() Target {
	text := p.next("an address")
	a, err := netip.ParseAddr(text)
	if p.err == nil && (err != nil || a.Zone() != "") {
		p.err = model.Errorf(model.KindInvalid, "cannot read the rule: ip %q is not an address", clip(text))
		return Target{}
	}
	return Target{Kind: Prefix, Prefix: netip.PrefixFrom(a, a.BitLen())}
}

func (p *parser) subnet() Target {
	text := p.next("a subnet")
	prefix, err := netip.ParsePrefix(text)
	if p.err == nil && err != nil {
		p.err = model.Errorf(model.KindInvalid, "cannot read the rule: subnet %q is not ADDRESS/BITS", clip(text))
		return Target{}
	}
	return Target{Kind: Prefix, Prefix: prefix.Masked()}
}

// labelPrefix is how the anchor of this language names labels of docker among
// its tags. Here all tags are labels.
const labelPrefix = "docker:label:"

func (p *parser) tag() Target {
	t := Target{Kind: Tag, Name: strings.TrimPrefix(p.next("the name of a tag"), labelPrefix)}
	if p.is("=") {
		value := p.next("the value of the tag")
		t.Value = &value
	}
	return t
}

func (p *parser) protocol(r *Rule) {
	for _, name := range []string{"tcp", "udp", "icmp", "icmp6", "ah", "esp"} {
		if !p.is(name) {
			continue
		}
		r.Protocol = name
		switch name {
		case "tcp", "udp":
			r.Ports = p.ports()
		case "icmp", "icmp6":
			p.icmp(r)
		}
		return
	}
	p.fail("a protocol: tcp, udp, icmp, icmp6, ah or esp")
}

// ports reads PORT n, PORT all, PORTS 1-5, 9, or (PORT 1 AND PORT 2). No ports
// are all of them.
func (p *parser) ports() (all []model.PortRange) {
	switch {
	case p.is("PORTS"):
		for p.err == nil {
			all = append(all, p.portRange())
			if !p.is(",") {
				break
			}
		}
	case p.is("("):
		for p.err == nil {
			p.want("PORT")
			all = append(all, p.portRange())
			if p.is(")") {
				break
			}
			p.want("AND")
		}
	default:
		p.want("PORT")
		if p.is("all") {
			return nil
		}
		all = append(all, p.portRange())
	}
	if p.err == nil && len(all) > maxPorts {
		p.err = model.Errorf(model.KindInvalid, "the rule has more than %d ports; name a range", maxPorts)
	}
	return all
}

func (p *parser) portRange() model.PortRange {
	text := p.next("a port from 1 to 65535, or a range")
	low, high, ranged := strings.Cut(text, "-")
	if !ranged {
		high = low
	}
	first, errA := strconv.ParseUint(low, 10, 16)
	last, errB := strconv.ParseUint(high, 10, 16)
	if p.err == nil && (errA != nil || errB != nil || first == 0 || first > last) {
		p.err = model.Errorf(model.KindInvalid, "cannot read the rule: %q is not a port from 1 to 65535, or a range", clip(text))
	}
	return model.PortRange{First: uint16(first), Last: uint16(last)}
}

func (p *parser) icmp(r *Rule) {
	if !p.is("TYPE") || p.is("all") {
		return
	}
	kind := uint8(p.number("a type from 0 to 255", 255))
	r.ICMPType = &kind
	if p.is("CODE") {
		code := uint8(p.number("a code from 0 to 255", 255))
		r.ICMPCode = &code
	}
}
