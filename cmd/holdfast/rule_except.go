package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"holdfast/internal/detect"
	"holdfast/internal/problem"
)

type ruleExceptCmd struct {
	Add    ruleExceptAddCmd    `cmd:"" help:"Make an exception."`
	List   ruleExceptListCmd   `cmd:"" help:"List exceptions."`
	Remove ruleExceptRemoveCmd `cmd:"" help:"Take an exception back."`
}

// untilFlag says when something ends.
type untilFlag struct {
	Until string `placeholder:"TIME" help:"When it ends: a time from now such as 12h or 30d, a day (2026-12-24), or a time (2026-12-24T18:00:00Z). Without it, it stays."`
}

// time is the moment that is meant; zero for none.
func (f untilFlag) time(now time.Time) (time.Time, error) {
	if f.Until == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, f.Until); err == nil {
			return t, nil
		}
	}
	d, err := detect.ParseTimespan(f.Until)
	if err != nil {
		return time.Time{}, problem.InField("until", "%q is no time; write a time from now such as 30d, a day such as 2026-12-24, or a time such as 2026-12-24T18:00:00Z", f.Until)
	}
	return now.Add(d), nil
}

type ruleExceptAddCmd struct {
	ruleArg
	Field string   `required:"" placeholder:"NAME" help:"Field of the event, such as user.email_addr or src_endpoint.ip."`
	Value []string `required:"" sep:"none" placeholder:"VALUE" help:"Text with * and ?, address, network, or list as %NAME%; repeat for several."`
	untilFlag
	Reason string `required:"" help:"Why, for whoever finds it later."`
}

func (c *ruleExceptAddCmd) Run(ctx context.Context, g *globals, std stdio) error {
	until, err := c.time(time.Now())
	if err != nil {
		return err
	}
	return c.with(ctx, g, std, func(r *detect.Rules, account string) error {
		x, err := r.Except(ctx, account, detect.Exception{Rule: c.Name, Field: c.Field, Values: c.Value, Reason: c.Reason, Until: until}, operator(std))
		if err != nil {
			return err
		}
		return printException(std, x, c.JSON)
	})
}

func printException(std stdio, x detect.Exception, asJSON bool) error {
	if asJSON {
		return printJSON(std, exceptionView(x))
	}
	fmt.Fprintf(std.out, "%s  %s  %s\n", x.ID, x.Rule, exceptionText(x))
	return nil
}

func exceptionText(x detect.Exception) string {
	s := x.Field + " " + strings.Join(x.Values, ", ")
	if !x.Until.IsZero() {
		s += "  until " + moment(x.Until)
	}
	return s + "  " + x.Reason
}

type ruleExceptListCmd struct {
	ruleAccount
	Name string `arg:"" optional:"" help:"Name or ID of the rule; without it, of all."`
}

func (c *ruleExceptListCmd) Run(ctx context.Context, g *globals, std stdio) error {
	return c.with(ctx, g, std, func(r *detect.Rules, account string) error {
		var all []detect.Exception
		if c.Name != "" {
			v, err := r.Get(ctx, account, c.Name)
			if err != nil {
				return err
			}
			all = v.Exceptions
		} else {
			o, err := r.List(ctx, account)
			if err != nil {
				return err
			}
			for _, v := range o.Rules {
				all = append(all, v.Exceptions...)
			}
		}
		if c.JSON {
			return printResults(std, all, exceptionView)
		}
		if len(all) == 0 {
			fmt.Fprintln(std.out, "There are no exceptions.")
		}
		for _, x := range all {
			if err := printException(std, x, false); err != nil {
				return err
			}
		}
		return nil
	})
}

type ruleExceptRemoveCmd struct {
	ruleAccount
	ExceptionID string `arg:"" help:"ID of the exception, as list shows it."`
	Reason      string `help:"Why, for the audit log."`
}

func (c *ruleExceptRemoveCmd) Run(ctx context.Context, g *globals, std stdio) error {
	return c.with(ctx, g, std, func(r *detect.Rules, account string) error {
		x, err := r.Unexcept(ctx, account, c.ExceptionID, because(std, c.Reason))
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(std, exceptionView(x))
		}
		fmt.Fprintf(std.out, "The exception of %s is taken back.\n", x.Rule)
		return nil
	})
}
