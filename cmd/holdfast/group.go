package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"holdfast/internal/directory"
	"holdfast/internal/problem"
)

type groupCmd struct {
	List   groupListCmd   `cmd:"" help:"List groups."`
	Show   groupShowCmd   `cmd:"" help:"Show a group with its people."`
	Create groupCreateCmd `cmd:"" help:"Create a group."`
	Add    groupAddCmd    `cmd:"" help:"Put people into a group."`
	Remove groupRemoveCmd `cmd:"" help:"Take people out of a group."`
}

// groupJSON is a group as --json shows one.
type groupJSON struct {
	AccountID string              `json:"account_id"`
	GroupID   string              `json:"group_id"`
	Name      string              `json:"name"`
	Kind      directory.GroupKind `json:"kind"`
}

func groupView(g directory.Group) groupJSON {
	return groupJSON{AccountID: g.AccountID, GroupID: g.ID, Name: g.Name, Kind: g.Kind}
}

func printGroup(std stdio, g directory.Group, asJSON bool) error {
	if asJSON {
		return printJSON(std, groupView(g))
	}
	fmt.Fprintf(std.out, "%s  %-14s  %s\n", g.ID, g.Kind, g.Name)
	return nil
}

type groupListCmd struct {
	accountFlag
	JSON bool `name:"json" help:"Print one JSON object with the list as results."`
}

func (c *groupListCmd) Run(ctx context.Context, g *globals, std stdio) error {
	h, account, err := g.openAccount(ctx, std, c.Account)
	if err != nil {
		return err
	}
	defer h.close()
	groups, err := h.db.Groups(ctx, account)
	if err != nil {
		return err
	}
	if c.JSON {
		return printResults(std, groups, groupView)
	}
	for _, gr := range groups {
		if err := printGroup(std, gr, false); err != nil {
			return err
		}
	}
	return nil
}

// groupArg names one group.
type groupArg struct {
	Group string `arg:"" help:"Name or ID of the group."`
}

func (a groupArg) find(ctx context.Context, h *handle, account string) (directory.Group, error) {
	groups, err := h.db.Groups(ctx, account)
	if err != nil {
		return directory.Group{}, err
	}
	key := directory.GroupKey(a.Group)
	i := slices.IndexFunc(groups, func(g directory.Group) bool { return g.ID == a.Group || directory.GroupKey(g.Name) == key })
	if i < 0 {
		names := make([]string, len(groups))
		for i, g := range groups {
			names[i] = g.Name
		}
		return directory.Group{}, problem.New(problem.NotFound, "the account has no group %q; there are: %s", a.Group, strings.Join(names, ", "))
	}
	return groups[i], nil
}

type groupShowCmd struct {
	accountFlag
	groupArg
	JSON bool `name:"json" help:"Print one JSON object with the people as results."`
}

func (c *groupShowCmd) Run(ctx context.Context, g *globals, std stdio) error {
	h, account, err := g.openAccount(ctx, std, c.Account)
	if err != nil {
		return err
	}
	defer h.close()
	gr, err := c.find(ctx, h, account)
	if err != nil {
		return err
	}
	if !c.JSON {
		fmt.Fprintf(std.out, "ID      %s\nName    %s\nKind    %s\n\n", gr.ID, gr.Name, gr.Kind)
	}
	return printPages(std, c.JSON, groupView(gr), func(after string, limit int) ([]directory.User, error) {
		return h.db.Members(ctx, account, gr.ID, after, limit)
	})
}

type groupCreateCmd struct {
	accountFlag
	Name string `arg:"" help:"Name of the group."`
	JSON bool   `name:"json" help:"Print one JSON object."`
}

func (c *groupCreateCmd) Run(ctx context.Context, g *globals, std stdio) error {
	name, err := directory.CheckName("name", c.Name)
	if err != nil {
		return err
	}
	h, account, err := g.openAccount(ctx, std, c.Account)
	if err != nil {
		return err
	}
	defer h.close()
	gr, err := h.db.CreateGroup(ctx, account, name, operator(std))
	if err != nil {
		return fmt.Errorf("create group: %w", err)
	}
	return printGroup(std, gr, c.JSON)
}

// memberArgs name a group and people.
type memberArgs struct {
	groupArg
	User []string `arg:"" help:"IDs or emails of the people."`
}

type groupAddCmd struct {
	accountFlag
	memberArgs
	JSON bool `name:"json" help:"Print one JSON object with the people as results."`
}

func (c *groupAddCmd) Run(ctx context.Context, g *globals, std stdio) error {
	return g.members(ctx, std, c.accountFlag, c.memberArgs, c.JSON, "in", func(h *handle, gr directory.Group, u directory.User) error {
		return h.db.AddMember(ctx, u.AccountID, gr.ID, u.ID, operator(std))
	})
}

type groupRemoveCmd struct {
	accountFlag
	memberArgs
	JSON bool `name:"json" help:"Print one JSON object with the people as results."`
}

func (c *groupRemoveCmd) Run(ctx context.Context, g *globals, std stdio) error {
	return g.members(ctx, std, c.accountFlag, c.memberArgs, c.JSON, "not in", func(h *handle, gr directory.Group, u directory.User) error {
		if gr.Kind == directory.TeamMembers {
			return problem.New(problem.Conflict, "everybody in the account belongs to %s; to take somebody out of the account: holdfast user remove", gr.Name)
		}
		return h.db.RemoveMember(ctx, u.AccountID, gr.ID, u.ID, operator(std))
	})
}

// members finds the group and all people, does something for each, and says what is so now.
func (g *globals) members(ctx context.Context, std stdio, a accountFlag, who memberArgs, asJSON bool, now string,
	do func(*handle, directory.Group, directory.User) error) error {
	h, account, err := g.openAccount(ctx, std, a.Account)
	if err != nil {
		return err
	}
	defer h.close()
	gr, err := who.find(ctx, h, account)
	if err != nil {
		return err
	}
	people := make([]directory.User, len(who.User))
	for i, name := range who.User {
		if people[i], err = (userArg{name}).find(ctx, h, account); err != nil {
			return err
		}
	}
	for _, u := range people {
		if err := do(h, gr, u); err != nil {
			return fmt.Errorf("%s: %w", u.Email, err)
		}
		if !asJSON {
			fmt.Fprintf(std.out, "%s <%s> is %s %s\n", u.DisplayName, u.Email, now, gr.Name)
		}
	}
	if !asJSON {
		return nil
	}
	return printJSON(std, struct {
		groupJSON
		Results []directory.APIUser `json:"results"`
	}{groupView(gr), apiUsers(people)})
}
