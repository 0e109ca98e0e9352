"""The language server: the engine for files that are being edited. Imported only by `torchlint server`; `protocol` needs pygls."""
