"""The report: one self-contained HTML file, made from the records of one results folder.

    shapes    what a report holds: data classes, no HTML
    words     marks, words and the columns of each kind of task
    figures   a record's metrics as cells, with reasons, marks and flags
    detail    one record -> everything its drawer shows
    series    one record -> the data behind its plots
    tables, bars, problems    all records -> the parts of the pages
    view      records -> Report; pure
    plots     the data of a plot -> SVG

    market    what was decided, as plain data; `payload` is what the page Decide works on, `answer` its sentences
    decide_shapes, evidence_words    what the pages around it hold, and their words and marks
    matrix, socs, ledger, method     Market -> the pages Matrix, SoCs, Claims and Method

    languages both languages side by side, for the templates
    lean      a finished page -> the same, with what it says twice kept once
    build     Report and Market -> one HTML file, written atomically

Importing this package is cheap: jinja2, numpy and matplotlib are imported when a report is built.
"""
