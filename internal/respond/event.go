package respond

import (
	"cmp"

	"holdfast/internal/signals"
)

// EventOf are the facts of an event that conditions may ask about. The source is the id of the account's source that
// it came from; how far it is trusted is for who knows that source.
func EventOf(e signals.Event, sourceID string) EventFacts {
	first := func(field string) string {
		if all := e.Field(field); len(all) > 0 {
			return all[0]
		}
		return ""
	}
	where := e.Src.Location
	f := EventFacts{
		ID: e.SourceID, Source: e.Source, SourceID: sourceID, Kind: first("class_name"), Activity: first("activity_name"),
		Status: first("status"), Reason: string(e.Reason), Time: e.When(),
		IP: e.Src.IP, Country: where.Country, Region: where.Region, City: where.City, Network: cmp.Or(where.Network, e.Src.ISP), ASN: where.ASN,
		Session: e.Session, App: cmp.Or(e.Service.Name, e.Client.App), OS: e.Client.OS, Verdict: e.Rule,
	}
	if where.AnonymousKnown || where.Anonymous {
		f.Anonymous = new(where.Anonymous)
	} else if e.Src.Proxy == signals.Yes {
		f.Anonymous = new(true)
	}
	if e.MFA != signals.Unknown {
		f.MFA = new(e.MFA == signals.Yes)
	}
	if f.Verdict == "" && len(e.Verdicts) > 0 {
		f.Verdict = e.Verdicts[0].Value
	}
	return f
}

// TrustOf is how sure it is who the events of a source come from.
func TrustOf(s signals.Setup) Trust {
	switch {
	case s.Kind == signals.KindLocal:
		return TrustOwn
	case s.Pulls():
		return TrustAsked
	}
	return TrustSent
}
