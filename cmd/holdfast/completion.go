package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"Shell that you use: bash, zsh or fish."`
}

func (c *completionCmd) Run(parser *kong.Kong, std stdio) error {
	commands := completions(parser.Model)
	write := map[string]func([]completed) string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}[c.Shell]
	_, err := io.WriteString(std.out, write(commands))
	return err
}

// completed is what can follow a command on the command line.
type completed struct {
	path     string // words that lead here, such as "user add"; empty at the beginning
	commands []word
	flags    []flagWord
	argument string // what the arguments are, as in flagWord
}

type word struct{ name, help string }

type flagWord struct {
	word
	value string // what comes after it; see valueOf
}

// What a value is, if not words separated by spaces.
const (
	noValue     = ""     // a flag that stands alone, a command without arguments
	anyValue    = "any"  // something that cannot be completed
	fileValue   = "file" // a path
	folderValue = "dir"
)

// completions reads the model: what is hidden there is not completed.
func completions(app *kong.Application) []completed {
	var all []completed
	var walk func(n *kong.Node)
	walk = func(n *kong.Node) {
		c := completed{path: commandPath(n)}
		for _, child := range n.Children {
			if !child.Hidden {
				c.commands = append(c.commands, word{child.Name, child.Help})
			}
		}
		for _, group := range n.AllFlags(true) {
			for _, f := range group {
				c.flags = append(c.flags, flagWord{word{"--" + f.Name, f.Help}, valueOf(f.Value)})
			}
		}
		for _, p := range n.Positional {
			c.argument = valueOf(p)
		}
		slices.SortFunc(c.flags, func(a, b flagWord) int { return strings.Compare(a.name, b.name) })
		all = append(all, c)
		for _, child := range n.Children {
			if !child.Hidden {
				walk(child)
			}
		}
	}
	walk(app.Node)
	return all
}

// valueOf is the words a value can be, or what kind of thing it is. The tag complete:"…" says it, an
// enumeration says it by itself.
func valueOf(v *kong.Value) string {
	switch {
	case v.IsBool():
		return noValue
	case v.Tag.Has("complete"):
		return v.Tag.Get("complete")
	case v.Enum != "":
		return strings.Join(v.EnumSlice(), " ")
	}
	return anyValue
}

// quoted is the text in single quotes, for bash and zsh.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// names are the names of the words.
func names(ws []word) string {
	list := make([]string, len(ws))
	for i, w := range ws {
		list[i] = w.name
	}
	return strings.Join(list, " ")
}

// table writes a shell function that prints what belongs to a path, for bash.
func table(b *strings.Builder, name string, all []completed, text func(completed) string) {
	fmt.Fprintf(b, "%s() {\n    case $1 in\n", name)
	for _, c := range all {
		if s := text(c); s != "" {
			fmt.Fprintf(b, "    %s) echo %s ;;\n", quoted(c.path), quoted(s))
		}
	}
	b.WriteString("    esac\n}\n\n")
}

// bashCompletion needs nothing but bash 4: no bash-completion package.
func bashCompletion(all []completed) string {
	var b strings.Builder
	b.WriteString("# bash completion for holdfast, made by: holdfast completion bash\n\n")
	table(&b, "_holdfast_commands", all, func(c completed) string { return names(c.commands) })
	table(&b, "_holdfast_flags", all, func(c completed) string {
		ws := make([]word, len(c.flags))
		for i, f := range c.flags {
			ws[i] = f.word
		}
		return names(ws)
	})
	table(&b, "_holdfast_argument", all, func(c completed) string { return c.argument })
	b.WriteString("# What the value of a flag is; fails for a flag without one.\n_holdfast_value() {\n    case \"$1 $2\" in\n")
	for _, c := range all {
		for _, f := range c.flags {
			if f.value != noValue {
				fmt.Fprintf(&b, "    %s) echo %s ;;\n", quoted(c.path+" "+f.name), quoted(f.value))
			}
		}
	}
	b.WriteString("    *) return 1 ;;\n    esac\n}\n\n")
	b.WriteString(bashMain)
	return b.String()
}

const bashMain = `_holdfast() {
    local cur=${COMP_WORDS[COMP_CWORD]} at= flag= kind= prefix= word i
    COMPREPLY=()
    # Bash cuts words at "=", so --state=active comes as three.
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $word == '=' ]]; then
            continue
        elif [[ -n $flag ]]; then
            flag=
        elif [[ $word == -* ]]; then
            _holdfast_value "$at" "$word" >/dev/null && flag=$word
        elif [[ " $(_holdfast_commands "$at") " == *" $word "* ]]; then
            at=${at:+$at }$word
        fi
    done
    if [[ $cur == '=' ]]; then
        cur=
    elif [[ $cur == --*=* ]]; then # where it does not cut
        prefix=${cur%%=*}=
        flag=${cur%%=*}
        cur=${cur#*=}
    fi
    if [[ -n $flag ]]; then
        kind=$(_holdfast_value "$at" "$flag") || return 0
    elif [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$(_holdfast_flags "$at")" -- "$cur"))
        return 0
    else
        kind="$(_holdfast_commands "$at")"
        [[ -n $kind ]] || kind=$(_holdfast_argument "$at")
    fi
    case $kind in
    any | '') ;;
    file)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        ;;
    dir)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -d -- "$cur")
        ;;
    *) COMPREPLY=($(compgen -P "$prefix" -W "$kind" -- "$cur")) ;;
    esac
}

complete -F _holdfast holdfast
`

// zshCompletion can be sourced, or put into a folder of fpath as _holdfast.
func zshCompletion(all []completed) string {
	var b strings.Builder
	b.WriteString("#compdef holdfast\n# zsh completion for holdfast, made by: holdfast completion zsh\n\n")
	b.WriteString("_holdfast() {\n    local at=: flag= kind= word i\n    local -a commands flags\n    local -A argument value subcommands\n")
	pairs := func(name string, add func(pair func(key, value string))) {
		fmt.Fprintf(&b, "    %s=(\n", name)
		add(func(key, value string) { fmt.Fprintf(&b, "        %s %s\n", quoted(":"+key), quoted(value)) })
		b.WriteString("    )\n")
	}
	pairs("subcommands", func(pair func(key, value string)) {
		for _, c := range all {
			pair(c.path, names(c.commands))
		}
	})
	pairs("argument", func(pair func(key, value string)) {
		for _, c := range all {
			pair(c.path, c.argument)
		}
	})
	pairs("value", func(pair func(key, value string)) {
		for _, c := range all {
			for _, f := range c.flags {
				if f.value != noValue {
					pair(c.path+" "+f.name, f.value)
				}
			}
		}
	})
	b.WriteString(zshWalk)
	b.WriteString("    case $at in\n")
	for _, c := range all {
		fmt.Fprintf(&b, "    %s)\n", quoted(":"+c.path))
		described := func(list string, ws []word) {
			fmt.Fprintf(&b, "        %s=(\n", list)
			for _, w := range ws {
				fmt.Fprintf(&b, "            %s\n", quoted(w.name+":"+w.help))
			}
			b.WriteString("        )\n")
		}
		described("commands", c.commands)
		ws := make([]word, len(c.flags))
		for i, f := range c.flags {
			ws[i] = f.word
		}
		described("flags", ws)
		b.WriteString("        ;;\n")
	}
	b.WriteString("    esac\n")
	b.WriteString(zshMain)
	return b.String()
}

const zshWalk = `    for ((i = 2; i < CURRENT; i++)); do
        word=${words[i]}
        if [[ -n $flag ]]; then
            flag=
        elif [[ $word == -* ]]; then
            [[ -n ${value[$at $word]-} ]] && flag=$word
        elif [[ " ${subcommands[$at]} " == *" $word "* ]]; then
            [[ $at == : ]] && at=:$word || at="$at $word"
        fi
    done
`

const zshMain = `    if [[ -z $flag && ${words[CURRENT]} == --*=* ]]; then
        flag=${words[CURRENT]%%=*}
        compset -P '*='
    fi
    if [[ -n $flag ]]; then
        kind=${value[$at $flag]-}
    elif [[ ${words[CURRENT]} == -* ]]; then
        _describe -o flag flags
        return
    elif (( $#commands )); then
        _describe command commands
        return
    else
        kind=${argument[$at]-}
    fi
    case $kind in
    any | '') return 1 ;;
    file) _files ;;
    dir) _files -/ ;;
    *) compadd -- ${=kind} ;;
    esac
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _holdfast "$@"
else
    compdef _holdfast holdfast
fi
`

// fishCompletion is one line for each thing that can follow.
func fishCompletion(all []completed) string {
	var b strings.Builder
	b.WriteString("# fish completion for holdfast, made by: holdfast completion fish\n\n")
	var takes, paths []string
	for _, c := range all {
		if c.path != "" {
			paths = append(paths, fishQuoted(c.path))
		}
		for _, f := range c.flags {
			if f.value != noValue && !slices.Contains(takes, f.name) {
				takes = append(takes, f.name)
			}
		}
	}
	fmt.Fprintf(&b, fishWalk, strings.Join(takes, " "), strings.Join(paths, " "))
	b.WriteString("complete -c holdfast -f\n")
	for _, c := range all {
		here := fishQuoted("__holdfast_at " + fishQuoted(c.path))
		for _, w := range c.commands {
			fmt.Fprintf(&b, "complete -c holdfast -n %s -a %s -d %s\n", here, fishQuoted(w.name), fishQuoted(w.help))
		}
		for _, f := range c.flags {
			fmt.Fprintf(&b, "complete -c holdfast -n %s -l %s%s -d %s\n", here, strings.TrimPrefix(f.name, "--"), fishValue(f.value), fishQuoted(f.help))
		}
		switch c.argument {
		case noValue, anyValue:
		case fileValue, folderValue:
			fmt.Fprintf(&b, "complete -c holdfast -n %s -F\n", here)
		default:
			fmt.Fprintf(&b, "complete -c holdfast -n %s -a %s\n", here, fishQuoted(c.argument))
		}
	}
	return b.String()
}

func fishValue(value string) string {
	switch value {
	case noValue:
		return ""
	case anyValue:
		return " -x"
	case fileValue, folderValue:
		return " -rF"
	}
	return " -x -a " + fishQuoted(value)
}

// fishQuoted is the text in single quotes, in which fish knows two escapes.
func fishQuoted(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

const fishWalk = `function __holdfast_at
    set -l at
    set -l value 0
    for word in (commandline -opc)[2..]
        if test $value = 1
            set value 0
        else if string match -q -- '-*' $word
            contains -- $word %s; and set value 1
        else if contains -- "$(string trim "$at $word")" %s
            set at (string trim "$at $word")
        end
    end
    test "$at" = "$argv[1]"
end

`
