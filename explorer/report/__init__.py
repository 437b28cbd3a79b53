"""From a record and its finding to what people look at: terminal tables, figures and pages."""
