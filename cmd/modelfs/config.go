package main

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"modelfs/config"
	"modelfs/mount"
	"modelfs/providers/all"
)

func newConfig(g *global) *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Write, check or print the configuration",
		Args:  cobra.ArbitraryArgs,
		RunE:  choose,
	}
	c.AddCommand(newConfigInit(g), newConfigCheck(g), newConfigShow(g))
	return c
}

func newConfigInit(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "init [FILE]",
		Short: "Write a file with every setting, commented out",
		Long: `Write a configuration file with every setting and its default, commented out.
Without FILE it goes to ~/.config/modelfs/config.yaml. A file that is there is
never written over.`,
		Args: upTo(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			file, err := config.Init(g.file(args), nil)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), file)
			return err
		},
	}
}

func newConfigCheck(g *global) *cobra.Command {
	c := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Report every problem of the configuration, with its line",
		Args:  upTo(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := g.load(args)
			if err == nil { // what only the providers see: the environment, files
				_, err = mount.Registry(cfg, cmp.Or(cfg.Mountpoint, "/models"), mount.Options{Log: slog.New(slog.DiscardHandler), Types: all.Types()})
			}
			if g.json {
				return errors.Join(printJSON(c.OutOrStdout(), check(cfg, err)), err)
			}
			if err != nil {
				return err
			}
			file := cfg.File
			if file == "" {
				file = "no file, defaults"
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s: ok; providers: %s\n", file, strings.Join(names(cfg), ", "))
			return err
		},
	}
	g.jsonFlag(c)
	return c
}

// checked is what config check --json prints.
type checked struct {
	File      string           `json:"file"`
	OK        bool             `json:"ok"`
	Providers []string         `json:"providers,omitempty"`
	Problems  []config.Problem `json:"problems,omitempty"`
}

func check(cfg *config.Config, err error) checked {
	var wrong *config.Error
	switch {
	case err == nil:
		return checked{File: cfg.File, OK: true, Providers: names(cfg)}
	case errors.As(err, &wrong):
		return checked{File: wrong.File, Problems: wrong.Problems}
	case cfg == nil:
		return checked{Problems: []config.Problem{{Text: err.Error()}}}
	}
	return checked{File: cfg.File, Problems: []config.Problem{{Text: err.Error()}}}
}

func newConfigShow(g *global) *cobra.Command {
	c := &cobra.Command{
		Use:   "show [FILE]",
		Short: "Print the configuration in effect, with secrets masked",
		Args:  upTo(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := g.load(args)
			if err != nil {
				return err
			}
			show := cfg.Show
			if g.json {
				show = cfg.ShowJSON
			}
			out, err := show()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s\n", strings.TrimRight(string(out), "\n"))
			return err
		},
	}
	g.jsonFlag(c)
	return c
}

// load reads the configuration that --config or the argument names.
func (g *global) load(args []string) (*config.Config, error) {
	return config.Load(config.Options{File: g.file(args), Types: all.Types()})
}

func (g *global) file(args []string) string {
	if len(args) > 0 {
		return args[0]
	}
	return g.config
}

func names(cfg *config.Config) []string {
	names := make([]string, len(cfg.Providers))
	for i, p := range cfg.Providers {
		names[i] = p.Protocol
	}
	return names
}
