package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/spearheadcloud/spearhead/cmd/spearhead/profile"
)

func profileCommand() *cli.Command {
	return group(cli.Command{
		Name:  "profile",
		Usage: "set your docker client up for an account of a data center",
		Description: "For users, on their own machine:\n\n" +
			"  spearhead profile create work --url https://dc.example.org:2376 --account jill --key ~/.ssh/id_ed25519\n" +
			"  spearhead profile docker-setup work\n" +
			"  docker --context work ps\n\n" +
			"Your operator has added your public key to the account. Profiles live in ~/.spearhead/docker.",
		Subcommands: []*cli.Command{
			{
				Name:      "create",
				Usage:     "write down where a data center is and who you are there",
				ArgsUsage: "NAME",
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "url", Usage: "the Docker endpoint, `https://HOST:PORT`"},
					&cli.StringFlag{Name: "account", Usage: "your account's `LOGIN`"},
					&cli.StringFlag{Name: "key", Usage: "your SSH `KEY`: the path of a private key (OpenSSH, PEM, PKCS #8), or of a public key or a fingerprint whose private half your ssh-agent holds"},
				},
				Action: createProfile,
			},
			{
				Name:      "docker-setup",
				Usage:     "make a client certificate and a docker context, and check that they work",
				ArgsUsage: "NAME",
				Description: "A fresh key and a certificate for it, signed by your SSH key, are written to\n" +
					"~/.spearhead/docker/NAME with an env.sh, and a docker context NAME is made. Run it again\n" +
					"to renew the certificate.",
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "ca", Usage: "trust the CA in `FILE` (PEM), which your operator gave you"},
					&cli.BoolFlag{Name: "insecure-first-use", Usage: "trust the CA that the data center shows now; compare the printed fingerprint with your operator's"},
				},
				Action: setUpDocker,
			},
			{
				Name: "env", Usage: "print the settings that point docker at the data center", ArgsUsage: "NAME",
				Description: "Use it as: eval \"$(spearhead profile env NAME)\"",
				Action:      printProfileEnv,
			},
			{Name: "ls", Usage: "list your profiles", Action: listProfiles},
			{Name: "rm", Usage: "remove a profile with its certificate and docker context", ArgsUsage: "NAME", Action: removeProfile},
		},
	})
}

func createProfile(c *cli.Context) error {
	args, err := arguments(c, "NAME")
	if err != nil {
		return err
	}
	if err := require(c, "url", "account", "key"); err != nil {
		return err
	}
	store, err := profile.UserStore()
	if err != nil {
		return err
	}
	key := c.String("key")
	if _, err := os.Stat(key); err == nil { // a file: found again from any folder
		if key, err = filepath.Abs(key); err != nil {
			return err
		}
	}
	err = store.Create(profile.Profile{Name: args[0], URL: c.String("url"), Account: c.String("account"), Key: key})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.App.Writer, "profile %s written; next: spearhead profile docker-setup %s\n", args[0], args[0])
	return err
}

func setUpDocker(c *cli.Context) error {
	args, err := arguments(c, "NAME")
	if err != nil {
		return err
	}
	if c.Bool("insecure-first-use") && c.IsSet("ca") {
		return usageErrorf("--ca and --insecure-first-use exclude each other")
	}
	store, err := profile.UserStore()
	if err != nil {
		return err
	}
	p, err := store.Setup(c.Context, args[0], profile.SetupOptions{
		CAFile:        c.String("ca"),
		TrustFirstUse: c.Bool("insecure-first-use"),
		Ask:           askPassphrase,
		Out:           c.App.Writer,
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.App.Writer, "use it with: docker --context %s ps, or: eval \"$(spearhead profile env %s)\"\n", p.Name, p.Name)
	return err
}

// askPassphrase asks on the terminal of the user, wherever the standard streams go.
func askPassphrase(path string) ([]byte, error) {
	terminal, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, errors.New("there is no terminal")
	}
	defer terminal.Close()
	fmt.Fprintf(terminal, "passphrase of %s: ", path)
	passphrase, err := term.ReadPassword(int(terminal.Fd()))
	fmt.Fprintln(terminal)
	return passphrase, err
}

func printProfileEnv(c *cli.Context) error {
	args, err := arguments(c, "NAME")
	if err != nil {
		return err
	}
	store, err := profile.UserStore()
	if err != nil {
		return err
	}
	p, err := store.Get(args[0])
	if err != nil {
		return err
	}
	text, err := store.Env(p)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(c.App.Writer, text)
	return err
}

func listProfiles(c *cli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	store, err := profile.UserStore()
	if err != nil {
		return err
	}
	profiles, err := store.List()
	if err != nil {
		return err
	}
	rows := newTable(c.App.Writer, "NAME", "URL", "ACCOUNT", "KEY", "SET UP")
	for _, p := range profiles {
		rows.add(p.Name, p.URL, p.Account, p.Key, yes(store.Ready(p)))
	}
	return rows.print()
}

func removeProfile(c *cli.Context) error {
	args, err := arguments(c, "NAME")
	if err != nil {
		return err
	}
	store, err := profile.UserStore()
	if err != nil {
		return err
	}
	return store.Remove(args[0])
}
