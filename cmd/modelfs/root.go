package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// overview is the whole of `modelfs help`; it fits a screen of 24 lines.
const overview = `modelfs shows models from every source as plain, read-only files.

  modelfs mount [MOUNTPOINT]      serve until unmounted; --daemon in background
  modelfs umount MOUNTPOINT       detach a mount, also a dead one
  modelfs config init|check|show  write, check or print the configuration
  modelfs version                 version, commit and Go release
  modelfs completion SHELL        completion for bash, zsh, fish or powershell
  modelfs help COMMAND            flags and examples of one command

Paths below the mount:
  zoo/<directory>/...                           local directories
  s3/<bucket>/<prefix>/...                      any S3-compatible store
  transformers/<org>/<repo>[@<revision>]/...    the Hugging Face Hub

Try:
  mkdir -p ~/mnt && modelfs mount --daemon ~/mnt
  ls ~/mnt/transformers/sentence-transformers/all-MiniLM-L6-v2@main/
  modelfs umount ~/mnt

Settings: --config FILE, else $MODELFS_CONFIG, else
~/.config/modelfs/config.yaml, /etc/modelfs/config.yaml, else defaults.
`

// global are the flags of every command.
type global struct {
	config string
	json   bool
}

func newRoot() *cobra.Command {
	var g global
	root := &cobra.Command{
		Use:           "modelfs",
		Version:       thisBuild().String(),
		Short:         "models from every source as plain, read-only files",
		SilenceErrors: true, // main reports, with the exit status
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE:          choose,
	}
	root.PersistentFlags().StringVar(&g.config, "config", "", "read this configuration `FILE`")
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return &usageError{c.CommandPath(), err} })
	help := root.HelpFunc()
	root.SetHelpFunc(func(c *cobra.Command, args []string) {
		if c == root {
			fmt.Fprint(c.OutOrStdout(), overview)
			return
		}
		help(c, args)
	})
	root.SetHelpCommand(newHelp(root))
	root.AddCommand(newMount(&g), newUmount(), newConfig(&g), newVersion(&g))
	return root
}

// newHelp is cobra's, but a command that does not exist is an error.
func newHelp(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Explain a command",
		RunE: func(c *cobra.Command, args []string) error {
			about, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return usage(root, "there is no command %q", strings.Join(args, " "))
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
	}
}

// choose runs for a command that only holds others.
func choose(c *cobra.Command, args []string) error {
	c.SuggestionsMinimumDistance = 2
	var names []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	if len(args) == 0 {
		return usage(c, "say what to do: %s", strings.Join(names, ", "))
	}
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		return usage(c, "there is no command %q; did you mean %s?", args[0], near[0])
	}
	slices.Sort(names)
	return usage(c, "there is no command %q; there are %s", args[0], strings.Join(names, ", "))
}

func usage(c *cobra.Command, format string, args ...any) error {
	return &usageError{c.CommandPath(), fmt.Errorf(format, args...)}
}

// upTo allows between least and most arguments.
func upTo(least, most int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return usage(c, "something is missing: %s", c.UseLine())
		case len(args) > most:
			return usage(c, "%q is too much: %s", args[most], c.UseLine())
		}
		return nil
	}
}

// jsonFlag gives c the flag that every command has which prints data.
func (g *global) jsonFlag(c *cobra.Command) {
	c.Flags().BoolVar(&g.json, "json", false, "print data as JSON")
}
