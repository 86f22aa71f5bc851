package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// arguments checks the number of a command's arguments against their names.
func arguments(c *cli.Context, names ...string) ([]string, error) {
	given := c.Args().Slice()
	if len(given) < len(names) {
		return nil, usageErrorf("%s: %s is missing", commandPath(c), names[len(given)])
	}
	if len(given) > len(names) {
		return nil, usageErrorf("%s: %q is one argument too many", commandPath(c), given[len(names)])
	}
	return given, nil
}

// require checks that the flags, which have no default, were given.
func require(c *cli.Context, flags ...string) error {
	for _, flag := range flags {
		if !c.IsSet(flag) {
			return usageErrorf("%s: --%s is missing", commandPath(c), flag)
		}
	}
	return nil
}

// commandPath is the command as the user called it, without the program's name.
func commandPath(c *cli.Context) string {
	_, path, _ := strings.Cut(c.Command.HelpName, " ")
	return path
}

// flagsFirst moves the flags of a command line before its arguments, so that both orders
// work: the parser of cli v2 stops at the first argument.
func flagsFirst(app *cli.App, args []string) []string {
	commands, at := app.Commands, 1
	var leaf *cli.Command
	for at < len(args) {
		i := slices.IndexFunc(commands, func(command *cli.Command) bool { return command.HasName(args[at]) })
		if i < 0 {
			break
		}
		leaf, commands = commands[i], commands[i].Subcommands
		at++
	}
	if leaf == nil || len(leaf.Subcommands) > 0 {
		return args
	}
	var flags, words []string
	for rest := args[at:]; len(rest) > 0; rest = rest[1:] {
		word := rest[0]
		if word == "--" {
			words = append(words, rest[1:]...)
			break
		}
		if len(word) < 2 || word[0] != '-' {
			words = append(words, word)
			continue
		}
		flags = append(flags, word)
		if takesValue(leaf, word) && len(rest) > 1 {
			rest = rest[1:]
			flags = append(flags, rest[0])
		}
	}
	return slices.Concat(args[:at], flags, []string{"--"}, words)
}

// takesValue tells whether the word is a flag whose value is the next word.
func takesValue(command *cli.Command, word string) bool {
	name := strings.TrimLeft(word, "-")
	for _, flag := range command.Flags {
		if slices.Contains(flag.Names(), name) {
			_, boolean := flag.(*cli.BoolFlag)
			return !boolean
		}
	}
	return false
}
