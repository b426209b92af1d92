package signals

import "strconv"

// What OCSF calls its numbers, and numbers that follow from others.

func className(c Class) string {
	switch c {
	case ClassBase:
		return "Base Event"
	case ClassAccountChange:
		return "Account Change"
	case ClassAuthentication:
		return "Authentication"
	case ClassEntityManagement:
		return "Entity Management"
	case ClassUserAccess:
		return "User Access Management"
	}
	return ""
}

// categoryOf is the category that a class is in; OCSF puts it into the thousands of the class.
func categoryOf(c Class) int64 { return int64(c) / 1000 }

func categoryName(c Class) string {
	switch categoryOf(c) {
	case 0:
		return "Uncategorized"
	case 3:
		return "Identity & Access Management"
	}
	return ""
}

func typeOf(e *Event) int64 { return int64(e.Class)*100 + int64(e.Activity) }

// activityName is the caption, or for what OCSF has no number for, the source's name.
func activityName(e *Event) string {
	switch e.Activity {
	case ActivityUnknown:
		return "Unknown"
	case ActivityOther:
		if e.Code != "" {
			return e.Code
		}
		return "Other"
	}
	var names []string
	switch e.Class {
	case ClassAuthentication:
		names = []string{Logon: "Logon", Logoff: "Logoff", Ticket: "Authentication Ticket", 4: "Service Ticket Request", 5: "Service Ticket Renew", Preauth: "Preauth"}
	case ClassAccountChange:
		names = []string{
			AccountCreate: "Create", AccountEnable: "Enable", PasswordChange: "Password Change", PasswordReset: "Password Reset",
			AccountDisable: "Disable", AccountDelete: "Delete", 7: "Attach Policy", 8: "Detach Policy", AccountLock: "Lock",
			FactorEnable: "MFA Factor Enable", FactorDisable: "MFA Factor Disable", AccountUnlock: "Unlock",
		}
	case ClassUserAccess:
		names = []string{PrivilegesAssign: "Assign Privileges", PrivilegesRevoke: "Revoke Privileges"}
	case ClassEntityManagement:
		names = []string{1: "Create", EntityRead: "Read", EntityUpdate: "Update", 4: "Delete"}
	}
	if n := int(e.Activity); n > 0 && n < len(names) {
		return names[n]
	}
	return ""
}

// statusName is the caption, or for what OCSF has no number for, the source's word.
func statusName(e *Event) string {
	switch {
	case e.StatusID == StatusSuccess:
		return "Success"
	case e.StatusID == StatusFailure:
		return "Failure"
	case e.Status != "":
		return e.Status
	case e.StatusID == StatusUnknown:
		return "Unknown"
	}
	return "Other"
}

func severityName(s Severity) string {
	return captionOf(int(s), "Unknown", "Informational", "Low", "Medium", "High", "Critical", "Fatal")
}

func dispositionName(d Disposition) string {
	return captionOf(int(d), "Unknown", "Allowed", "Blocked", "Quarantined", "Isolated", "Deleted", "Dropped", "Custom Action", "Approved",
		"Restored", "Exonerated", "Corrected", "Partially Corrected", "Uncorrected", "Delayed", "Detected", "No Action", "Logged",
		"Tagged", "Alert", "Count", "Reset", "Captcha", "Challenge", "Access Revoked", "Rejected", "Unauthorized", "Error")
}

// actionOf is what a disposition comes down to: action_id with its caption.
func actionOf(d Disposition) (int, string) {
	switch d {
	case DispositionAllowed:
		return 1, "Allowed"
	case DispositionBlocked:
		return 2, "Denied"
	case DispositionLogged:
		return 3, "Observed"
	case DispositionChallenge:
		return 4, "Modified"
	}
	return 0, "Unknown"
}

func riskName(r Risk) string {
	return captionOf(int(r)-1, "Info", "Low", "Medium", "High", "Critical")
}

func (f Factor) name() string {
	if f.Name != "" {
		return f.Name
	}
	return captionOf(int(f.ID), "Unknown", "SMS", "Security Question", "Phone Call", "Biometric", "Push Notification", "Hardware Token",
		"OTP", "Email", "U2F", "WebAuthn", "Password")
}

func captionOf(n int, names ...string) string {
	switch {
	case 0 <= n && n < len(names):
		return names[n]
	case n == 99:
		return "Other"
	}
	return strconv.Itoa(n)
}

// protocols are auth_protocol_id of OCSF.
func protocols() []string {
	return []string{1: "NTLM", 2: "Kerberos", 3: "Digest", 4: "OpenID", 5: "SAML", 6: "OAUTH 2.0", 7: "PAP", 8: "CHAP", 9: "EAP", 10: "RADIUS", 11: "Basic Authentication"}
}

// product is the part of metadata that says whose event it is.
type product struct {
	Name       string `json:"name"`
	VendorName string `json:"vendor_name"`
}

func productOf(source string) product {
	switch source {
	case OnePassword:
		return product{"1Password", "1Password"}
	case Okta:
		return product{"Okta System Log", "Okta"}
	case Entra:
		return product{"Microsoft Entra ID", "Microsoft"}
	case OneLogin:
		return product{"OneLogin", "One Identity"}
	case RBA:
		return product{"Login Data Set for Risk-Based Authentication", "Wiefling et al."}
	}
	return product{source, source}
}
