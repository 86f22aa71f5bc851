package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/spearheadcloud/spearhead/headnode"
	"github.com/spearheadcloud/spearhead/headnode/adminapi"
	"github.com/spearheadcloud/spearhead/internal/atomicfile"
	"github.com/spearheadcloud/spearhead/model"
)

// headMembers are the commands about which heads a data center has.
func headMembers() []*cli.Command {
	return []*cli.Command{
		{
			Name: "join", Usage: "make this machine one more head of a data center", ArgsUsage: "HEAD[:PORT]",
			Description: "HEAD is a head's name or address, as users' clients reach it (port 2376 unless named). The token is\n" +
				"one that spearhead token create --role head printed there. When the head runs for the first time it\n" +
				"catches up with the others and then votes. A data center has 1, 3 or 5 heads: two protect from nothing.",
			Flags:  append(configFlags(defaultHeadConfig), &tokenFlag),
			Action: joinHead,
		},
		{Name: "ls", Usage: "list the heads", Flags: []cli.Flag{socketFlag()}, Action: listHeads},
		{
			Name: "remove", Usage: "take a head out for good", ArgsUsage: "HEAD",
			Description: "It stops if it runs, and its certificate is refused from then on. A machine that is to be a head\n" +
				"again joins anew, with an empty state_dir and a new token.",
			Flags: []cli.Flag{socketFlag()}, Action: removeHead,
		},
		{
			Name: "backup", Usage: "write all that the data center knows to a file", ArgsUsage: "FILE",
			Description: "FILE may be - for standard output. The file holds the CA's private key and the keys of the gossip ring:\n" +
				"whoever has it can be anybody in the data center. Images, volumes and containers' files are not in it.",
			Flags: []cli.Flag{socketFlag()}, Action: backupHead,
		},
		{
			Name: "restore", Usage: "put a backup in the place of all that the data center knows", ArgsUsage: "FILE",
			Description: "Run it on the head that leads. All heads have the backup's state afterwards; what was done since it was\n" +
				"made is forgotten, but containers that run on nodes are found again and shown as unknown there (node ls).",
			Flags:  []cli.Flag{socketFlag(), &cli.BoolFlag{Name: "yes", Usage: "do it"}},
			Action: restoreHead,
		},
		{
			Name: "recover", Usage: "make this the only head, after the others are lost for ever",
			Description: "For a data center that has lost so many heads that the rest cannot agree on anything. This head must not\n" +
				"run, and the lost heads must never start again with what is on their disks. Take the head that was\n" +
				"furthest (spearhead head ls on each shows its index); what only the lost ones knew is gone.",
			Flags:  append(configFlags(defaultHeadConfig), &cli.BoolFlag{Name: "yes", Usage: "do it"}),
			Action: recoverHead,
		},
	}
}

func joinHead(c *cli.Context) error {
	args, err := arguments(c, "HEAD")
	if err != nil {
		return err
	}
	token, err := givenToken(c)
	if err != nil {
		return err
	}
	config, err := headConfig(c)
	if err != nil {
		return err
	}
	dataCenter, err := headnode.Join(c.Context, config, args[0], token)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.App.Writer, "%s is a head of the data center %s; start it: systemctl enable --now spearhead-head. It votes when it has caught up: spearhead head ls\n", config.Name, dataCenter)
	return err
}

func listHeads(c *cli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	return operator(c, func(head *adminapi.Client) error {
		heads, err := head.Heads(c.Context)
		if err != nil {
			return err
		}
		rows := newTable(c.App.Writer, "NAME", "ID", "ROLE", "ADDRESS", "BEHIND", "ANSWERED", "VERSION")
		voters, byLeader := 0, slices.ContainsFunc(heads, func(h adminapi.HeadStatus) bool { return h.Role == "leader" && h.Lag >= 0 })
		for _, h := range heads {
			if h.Role != "joining" {
				voters++
			}
			behind, answered := "", ""
			if h.Lag >= 0 {
				behind = fmt.Sprint(h.Lag)
			}
			switch {
			case !h.Contact.IsZero():
				answered = time.Since(h.Contact).Round(time.Second).String() + " ago"
			case byLeader && h.Role != "leader":
				answered = "not yet" // the leader that is asked is a new one
			}
			rows.add(h.Name, model.ShortID(h.ID), h.Role, h.RaftAddress, behind, answered, h.Release())
		}
		if err := rows.print(); err != nil {
			return err
		}
		if voters > 0 && voters%2 == 0 {
			_, err = fmt.Fprintf(c.App.Writer, "%d heads survive the loss of no more than %d do: have 1, 3 or 5\n", voters, voters-1)
		}
		return err
	})
}

func removeHead(c *cli.Context) error {
	args, err := arguments(c, "HEAD")
	if err != nil {
		return err
	}
	return operator(c, func(head *adminapi.Client) error { return head.RemoveHead(c.Context, args[0]) })
}

func backupHead(c *cli.Context) error {
	args, err := arguments(c, "FILE")
	if err != nil {
		return err
	}
	return operator(c, func(head *adminapi.Client) error {
		if args[0] == "-" {
			return head.Backup(c.Context, c.App.Writer)
		}
		return writeWhole(args[0], func(w io.Writer) error { return head.Backup(c.Context, w) })
	})
}

// writeWhole writes a file that only root can read, and leaves what was there
// before as it is unless all of the new one could be written.
func writeWhole(path string, write func(io.Writer) error) error {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("cannot write the backup: %w", err)
	}
	defer os.Remove(file.Name()) // it has another name by then, if all went well
	if err := errors.Join(write(file), file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return fmt.Errorf("cannot write the backup: %w", err)
	}
	return atomicfile.SyncDir(filepath.Dir(path))
}

func restoreHead(c *cli.Context) error {
	args, err := arguments(c, "FILE")
	if err != nil {
		return err
	}
	if !c.Bool("yes") {
		return usageErrorf("head restore replaces all that the data center knows by what the backup says; if you mean it, add --yes")
	}
	file, err := os.Open(args[0])
	if err != nil {
		return fmt.Errorf("cannot read the backup: %w", err)
	}
	defer file.Close()
	return operator(c, func(head *adminapi.Client) error { return head.Restore(c.Context, file) })
}

func recoverHead(c *cli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	if !c.Bool("yes") {
		return usageErrorf("head recover takes the votes of all other heads away, for ever; if they are lost, add --yes")
	}
	config, err := headConfig(c)
	if err != nil {
		return err
	}
	if conn, err := (&net.Dialer{}).DialContext(c.Context, "unix", config.Socket); err == nil {
		conn.Close()
		return fmt.Errorf("the head runs: stop it first, with: systemctl stop spearhead-head")
	}
	if err := headnode.Recover(c.Context, config); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.App.Writer, "%s is the only head now; start it, and let new ones join: spearhead token create --role head\n", config.Name)
	return err
}

// initFrom makes the first head from a backup.
func initFrom(c *cli.Context, config headnode.Config, path string) error {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no backup %s", path)
	}
	if err != nil {
		return fmt.Errorf("cannot read the backup: %w", err)
	}
	defer file.Close()
	if err := headnode.InitFrom(c.Context, config, file); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.App.Writer, "%s is the first head of the data center in the backup, ready to run\n", config.Name)
	return err
}
