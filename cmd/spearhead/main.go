// Command spearhead is the whole of Spearhead in one static binary: the head, the agent,
// the supervisor of containers, the development rack, the operator's commands and the
// user's set-up of docker. Each command group has its file here, which parses, makes one
// call and prints.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/spearheadcloud/spearhead/headnode"
)

// version is set by the linker (see Makefile).
var version = "devel"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The supervisor of containers runs beside every agent for as long as containers do. It
	// is told apart first, so that it carries nothing of the command line.
	if len(os.Args) > 1 && os.Args[1] == "iod" {
		os.Exit(report(runIod(ctx, os.Args[2:]), os.Stderr))
	}
	if len(os.Args) > 1 && os.Args[1] == "names" { // as is what resolves names for them
		os.Exit(report(runNames(ctx, os.Args[2:]), os.Stderr))
	}
	app := newApp()
	os.Exit(report(app.RunContext(ctx, flagsFirst(app, os.Args)), os.Stderr))
}

// newApp is the table of contents.
func newApp() *cli.App {
	return &cli.App{
		Name:    "spearhead",
		Usage:   "a data center as one Docker host",
		Version: version,
		Description: "Users set their docker client up with: spearhead profile; fwrule, volume, package, network and usage\n" +
			"are theirs too, with --profile. Operators use all commands, on a head. Developers start with: spearhead dev up.",
		Commands: []*cli.Command{
			devCommand(),
			profileCommand(),
			accountCommand(),
			keyCommand(),
			nodeCommand(),
			tokenCommand(),
			gossipCommand(),
			capacityCommand(),
			networkCommand(),
			fwruleCommand(),
			volumeCommand(),
			containerCommand(),
			poolCommand(),
			packageCommand(),
			usageCommand(),
			placementCommand(),
			headCommand(),
			statusCommand(),
			agentCommand(),
			versionCommand(),
		},
		HideVersion:     true,
		CommandNotFound: func(c *cli.Context, name string) { unknownCommand(c, name) },
		ExitErrHandler:  func(*cli.Context, error) {}, // report does it
		OnUsageError:    usageError,
	}
}

// errUsage is the cause of every error about how a command was called.
var errUsage = errors.New("see --help")

// usageErrorf tells that a command was called wrongly.
func usageErrorf(format string, args ...any) error {
	return fmt.Errorf(format+" (%w)", append(args, errUsage)...)
}

// usageError keeps cli from printing the whole help at each typing error.
func usageError(c *cli.Context, err error, _ bool) error {
	return usageErrorf("%s: %v", commandPath(c), err)
}

func unknownCommand(c *cli.Context, name string) {
	os.Exit(report(usageErrorf("there is no command %q", name), c.App.ErrWriter))
}

// exitForGood is the exit status of a head that must not be started again before an operator
// has seen to it: the units' RestartPreventExitStatus. It is EX_NOPERM of sysexits.h.
const exitForGood = 77

// report prints an error as one sentence and returns the exit code: 0 without an error, 2
// for a wrong call, exitForGood for what another start cannot mend, else 1.
func report(err error, to io.Writer) int {
	if err == nil {
		return 0
	}
	fmt.Fprintf(to, "spearhead: %v\n", err)
	if errors.Is(err, errUsage) {
		return 2
	}
	if headnode.EndsForGood(err) {
		return exitForGood
	}
	return 1
}

// group is a command that only holds others. Called alone it prints its help; called with a
// word that is none of them it says so.
func group(command cli.Command) *cli.Command {
	command.HideHelpCommand = true
	command.OnUsageError = usageError
	for _, sub := range command.Subcommands {
		sub.OnUsageError = usageError
	}
	command.Action = func(c *cli.Context) error {
		if c.Args().Present() {
			return usageErrorf("there is no command %q", commandPath(c)+" "+c.Args().First())
		}
		return cli.ShowSubcommandHelp(c)
	}
	return &command
}

func versionCommand() *cli.Command {
	return &cli.Command{
		Name:  "version",
		Usage: "print the version of this program",
		Action: func(c *cli.Context) error {
			_, err := fmt.Fprintln(c.App.Writer, version)
			return err
		},
	}
}
